"""How each vendor answers, by its own documentation, for the contract of sending."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.providers.http_server import Received
from tests.providers.vendors import SECRET, SIGN_IN, Reply, Vendor, delivery, ids

SHOP = "Shop <shop@example.com>"
SID = "AC" + "0" * 32


def about_one(received: Received) -> bool:
    return str(delivery(1)) in ids(received)


def always(reply: Reply) -> Any:
    return lambda _: reply


# https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors


def sendgrid_refusal(message: str, name: str | None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": name, "help": None}]}


SENDGRID_TAKEN = Reply(202, "", {"X-Message-Id": "14c5d75ce93.dfd.64b469"})


def sendgrid_one(received: Received) -> Reply:
    wanted = json.loads(received.body)["personalizations"]
    for position, one in enumerate(wanted):
        if one["custom_args"]["delivery_id"] == str(delivery(1)):
            place = f"personalizations.{position}.to.0.email"
            return Reply(400, sendgrid_refusal("Does not contain a valid address.", place))
    return SENDGRID_TAKEN


SENDGRID = Vendor(
    name="sendgrid",
    values={"api_key": SECRET, "from": SHOP},
    taken=always(SENDGRID_TAKEN),
    refuses_one=sendgrid_one,
    lasting=always(
        Reply(400, sendgrid_refusal("The subject is required.", "subject")),
    ),
    throttled=Reply(429, sendgrid_refusal("too many requests", None)),
    refused_credentials=Reply(
        401, sendgrid_refusal("The provided authorization grant is invalid", None)
    ),
    unreadable=None,
    probed=Reply(200, {"scopes": ["mail.send"]}),
)

# https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages

MAILGUN_TAKEN = Reply(
    200, {"id": "<20260101120000.1.ABCD@mg.example.com>", "message": "Queued. Thank you."}
)
MAILGUN_BAD = Reply(
    400, {"message": "to parameter is not a valid address. please check documentation"}
)
MAILGUN = Vendor(
    name="mailgun",
    values={"api_key": SECRET, "domain": "mg.example.com", "from": SHOP},
    taken=always(MAILGUN_TAKEN),
    refuses_one=lambda received: MAILGUN_BAD if about_one(received) else MAILGUN_TAKEN,
    lasting=always(MAILGUN_BAD),
    throttled=Reply(429, {"message": "Too many requests"}),
    refused_credentials=Reply(401, "Forbidden"),
    probed=Reply(400, {"message": "from parameter is missing"}),
    secrets=(SECRET, "YXBpOnNlY3JldC1vZi10aGUtYWNjb3VudA"),
)

# https://postmarkapp.com/developer/api/email-api


def postmark_each(received: Received, *, refused: bool) -> Reply:
    answers = []
    for one in json.loads(received.body):
        mine = one["Metadata"]["delivery_id"]
        if refused and mine == str(delivery(1)):
            answers.append({"ErrorCode": 406, "Message": f"Inactive recipient {one['To']}"})
        else:
            answers.append(
                {
                    "ErrorCode": 0,
                    "Message": "OK",
                    "MessageID": f"b7bc2f4a-e38e-4336-af7d-{mine[-12:]}",
                    "SubmittedAt": "2026-01-01T12:00:00Z",
                    "To": one["To"],
                }
            )
    return Reply(200, answers)


POSTMARK = Vendor(
    name="postmark",
    values={"server_token": SECRET, "from": SHOP},
    taken=lambda received: postmark_each(received, refused=False),
    refuses_one=lambda received: postmark_each(received, refused=True),
    lasting=always(Reply(422, {"ErrorCode": 300, "Message": "Invalid email request"})),
    throttled=Reply(429, {"ErrorCode": 429, "Message": "Rate Limit Exceeded"}),
    refused_credentials=Reply(401, {"ErrorCode": 10, "Message": "Bad or missing API token"}),
    probed=Reply(200, {"ID": 1, "Name": "Production"}),
)

# https://resend.com/docs/api-reference/errors


def resend_refusal(status: int, name: str, message: str) -> Reply:
    return Reply(status, {"statusCode": status, "name": name, "message": message})


RESEND_TAKEN = Reply(200, {"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"})
RESEND_BAD = resend_refusal(422, "validation_error", "Invalid `to` field.")
RESEND = Vendor(
    name="resend",
    values={"api_key": SECRET, "from": SHOP},
    taken=always(RESEND_TAKEN),
    refuses_one=lambda received: RESEND_BAD if about_one(received) else RESEND_TAKEN,
    lasting=always(RESEND_BAD),
    throttled=resend_refusal(429, "rate_limit_exceeded", "Too many requests."),
    refused_credentials=resend_refusal(403, "invalid_api_key", "API key is invalid"),
    probed=resend_refusal(422, "missing_required_field", "Missing `to` field."),
    keys=lambda received: received.headers.get("idempotency-key"),
)

# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html


def ses_refusal(status: int, kind: str, message: str) -> Reply:
    return Reply(status, {"message": message}, {"x-amzn-ErrorType": kind})


AMAZON = {
    "region": "eu-west-1",
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": SECRET,
    "session_token": "token-of-the-session",
}
AMAZON_SECRETS = (SECRET, "AKIDEXAMPLE", "token-of-the-session")

SES_TAKEN = Reply(200, {"MessageId": "0102018f-aaaa-000000"})
SES_BAD = ses_refusal(400, "BadRequestException", "Illegal address")
SES_BULK = "/v2/email/outbound-bulk-emails"


def ses_results(*results: dict[str, str]) -> Reply:
    return Reply(200, {"BulkEmailEntryResults": list(results)})


def ses_each(received: Received, *, refused: bool) -> Reply:
    """SendBulkEmail's answer, with one refused or all taken; SendEmail's for one by itself."""
    if received.target != SES_BULK:
        return SES_BAD if refused and about_one(received) else SES_TAKEN
    results = []
    for entry in json.loads(received.body)["BulkEmailEntries"]:
        mine = {one["Name"]: one["Value"] for one in entry["ReplacementTags"]}["delivery_id"]
        if refused and mine == str(delivery(1)):
            results.append({"Status": "MESSAGE_REJECTED", "Error": "It contains a virus."})
        else:
            results.append({"Status": "SUCCESS", "MessageId": f"0102018f-{mine[-12:]}-000000"})
    return ses_results(*results)


SES = Vendor(
    name="ses",
    values={**AMAZON, "from": SHOP},
    taken=lambda received: ses_each(received, refused=False),
    refuses_one=lambda received: ses_each(received, refused=True),
    lasting=always(SES_BAD),
    throttled=ses_refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded."),
    refused_credentials=ses_refusal(
        403, "UnrecognizedClientException", "The security token included in the request is invalid."
    ),
    probed=Reply(200, {"SendingEnabled": True}),
    secrets=AMAZON_SECRETS,
)

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html


def sns_refusal(status: int, code: str, message: str) -> Reply:
    return Reply(
        status,
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>9dd01905-5012-5f99-8663-4b3ecd0dfaef</RequestId></ErrorResponse>",
        {"Content-Type": "text/xml"},
    )


SNS_TAKEN = Reply(
    200,
    '<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    "<MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>"
    "<RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>",
    {"Content-Type": "text/xml"},
)
SNS_BAD = sns_refusal(
    400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: 1 is not valid to publish to"
)
SNS = Vendor(
    name="sns",
    values=AMAZON,
    taken=always(SNS_TAKEN),
    refuses_one=lambda received: SNS_BAD if about_one(received) else SNS_TAKEN,
    lasting=always(SNS_BAD),
    throttled=sns_refusal(429, "Throttled", "Rate exceeded"),
    refused_credentials=sns_refusal(
        403, "InvalidClientTokenId", "The security token included in the request is invalid."
    ),
    probed=Reply(200, "<GetSMSAttributesResponse></GetSMSAttributesResponse>"),
    secrets=AMAZON_SECRETS,
)

# https://www.twilio.com/docs/messaging/api/message-resource


def twilio_refusal(status: int, code: int, message: str) -> Reply:
    return Reply(
        status,
        {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
    )


TWILIO_TAKEN = Reply(
    201,
    {
        "sid": "SM" + "a" * 32,
        "account_sid": SID,
        "status": "queued",
        "num_segments": "1",
        "error_code": None,
        "error_message": None,
    },
)
TWILIO_BAD = twilio_refusal(400, 21211, "Invalid 'To' Phone Number: +1415555XXXX")
TWILIO = Vendor(
    name="twilio",
    values={"account_sid": SID, "auth_token": SECRET, "from": ("+15005550006",)},
    taken=always(TWILIO_TAKEN),
    refuses_one=lambda received: TWILIO_BAD if about_one(received) else TWILIO_TAKEN,
    lasting=always(TWILIO_BAD),
    throttled=twilio_refusal(429, 20429, "Too Many Requests"),
    refused_credentials=twilio_refusal(401, 20003, "Authenticate"),
    probed=Reply(200, {"sid": SID, "status": "active"}),
)

# https://developer.vonage.com/en/api/sms


def vonage_parts(*statuses: str) -> Reply:
    return Reply(
        200,
        {
            "message-count": str(len(statuses)),
            "messages": [
                {
                    "to": "14155550000",
                    "message-id": f"aaaaaaaa-bbbb-cccc-dddd-00000000000{number}",
                    "status": status,
                    "remaining-balance": "3.14",
                    "message-price": "0.03",
                    "network": "12345",
                }
                if status == "0"
                else {"status": status, "error-text": "No."}
                for number, status in enumerate(statuses)
            ],
        },
    )


VONAGE = Vendor(
    name="vonage",
    values={"api_key": "abcd1234", "api_secret": SECRET, "from": ("ACME",)},
    taken=always(vonage_parts("0")),
    refuses_one=lambda received: vonage_parts("6" if about_one(received) else "0"),
    lasting=always(vonage_parts("6")),
    throttled=vonage_parts("1"),
    refused_credentials=vonage_parts("4"),
    probed=Reply(200, {"value": 10.28, "autoReload": False}),
)

# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks

SLACK_HOOK = f"https://hooks.slack.com/services/T00000000/B00000000/{SECRET.replace('-', '')}"
SLACK_TAKEN = Reply(200, "ok", {"Content-Type": "text/html"})
SLACK_BAD = Reply(400, "invalid_payload", {"Content-Type": "text/html"})
SLACK = Vendor(
    name="slack",
    values={"url": SLACK_HOOK},
    taken=always(SLACK_TAKEN),
    refuses_one=lambda received: SLACK_BAD if about_one(received) else SLACK_TAKEN,
    lasting=always(SLACK_BAD),
    throttled=Reply(429, "rate_limited"),
    refused_credentials=Reply(403, "no_permission"),
    probed=Reply(400, "no_text"),
    secrets=(SECRET.replace("-", ""), "/services/"),
    address=SLACK_HOOK,
)

# https://discord.com/developers/docs/resources/webhook#execute-webhook

DISCORD_HOOK = f"https://discord.com/api/webhooks/1234567890/{SECRET}"
DISCORD_TAKEN = Reply(200, {"id": "1300000000000000000", "type": 0, "content": "…"})
DISCORD_BAD = Reply(400, {"message": "Cannot send an empty message", "code": 50006})
DISCORD = Vendor(
    name="discord",
    values={"url": DISCORD_HOOK},
    taken=always(DISCORD_TAKEN),
    refuses_one=lambda received: DISCORD_BAD if about_one(received) else DISCORD_TAKEN,
    lasting=always(DISCORD_BAD),
    throttled=Reply(
        429, {"message": "You are being rate limited.", "retry_after": 6.5, "global": False}
    ),
    refused_credentials=Reply(401, {"message": "401: Unauthorized", "code": 0}),
    probed=Reply(200, {"id": "1234567890", "type": 1}),
    address=DISCORD_HOOK,
)

# https://learn.microsoft.com/en-us/power-automate/teams/send-a-message-in-teams

TEAMS_HOOK = f"https://prod-01.westeurope.logic.azure.com/workflows/abc/triggers/manual/paths/invoke?sig={SECRET}"


def teams_refusal(status: int, code: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": "…"}})


TEAMS_TAKEN = Reply(202)
TEAMS_BAD = teams_refusal(400, "TriggerInputSchemaMismatch")
TEAMS = Vendor(
    name="teams",
    values={"url": TEAMS_HOOK},
    taken=always(TEAMS_TAKEN),
    refuses_one=lambda received: TEAMS_BAD if about_one(received) else TEAMS_TAKEN,
    lasting=always(TEAMS_BAD),
    throttled=teams_refusal(429, "WorkflowRunActionThrottled"),
    refused_credentials=teams_refusal(401, "AuthorizationFailed"),
    unreadable=None,
    address=TEAMS_HOOK,
)

# https://core.telegram.org/bots/api#making-requests

BOT = "123456:" + SECRET.replace("-", "_")


def telegram_refusal(status: int, description: str, **more: Any) -> Reply:
    return Reply(status, {"ok": False, "error_code": status, "description": description, **more})


TELEGRAM_TAKEN = Reply(200, {"ok": True, "result": {"message_id": 42, "date": 1767225600}})
TELEGRAM_BAD = telegram_refusal(400, "Bad Request: chat not found")
TELEGRAM = Vendor(
    name="telegram",
    values={"token": BOT},
    taken=always(TELEGRAM_TAKEN),
    refuses_one=lambda received: TELEGRAM_BAD if about_one(received) else TELEGRAM_TAKEN,
    lasting=always(TELEGRAM_BAD),
    throttled=telegram_refusal(
        429, "Too Many Requests: retry after 7", parameters={"retry_after": 7}
    ),
    refused_credentials=telegram_refusal(401, "Unauthorized"),
    probed=Reply(200, {"ok": True, "result": {"id": 123456, "is_bot": True}}),
    secrets=(BOT, SECRET.replace("-", "_")),
    address="telegram:-1001234567890",
)

# https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode

FCM_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FCM_PEM = FCM_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
FCM_ACCOUNT = {
    "type": "service_account",
    "project_id": "shop-1234",
    "private_key_id": "key-1",
    "private_key": FCM_PEM,
    "client_email": "tidings@shop-1234.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
FCM_TOKEN = "fGh7:APA91bE-registration_token"


def fcm_refusal(status: int, word: str, message: str, code: str = "") -> Reply:
    error: dict[str, Any] = {"code": status, "message": message, "status": word}
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        error["details"] = [{"@type": kind, "errorCode": code}]
    return Reply(status, {"error": error})


def fcm_access(token: str = SECRET, lasts: int = 3600) -> Reply:
    return Reply(200, {"access_token": token, "expires_in": lasts, "token_type": "Bearer"})


FCM_TAKEN = Reply(200, {"name": "projects/shop-1234/messages/0:1767268800%1"})
FCM_BAD = fcm_refusal(400, "INVALID_ARGUMENT", "Invalid value at 'message'", "INVALID_ARGUMENT")
FCM = Vendor(
    name="fcm",
    values={
        "service_account": json.dumps(FCM_ACCOUNT),
        "token_endpoint": "{url}" + SIGN_IN,
    },
    taken=always(FCM_TAKEN),
    refuses_one=lambda received: FCM_BAD if about_one(received) else FCM_TAKEN,
    lasting=always(FCM_BAD),
    throttled=fcm_refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", "QUOTA_EXCEEDED"),
    refused_credentials=fcm_refusal(401, "UNAUTHENTICATED", "Invalid credentials."),
    probed=Reply(200, {"name": "projects/shop-1234/messages/fake_message_id"}),
    secrets=(SECRET, FCM_PEM.splitlines()[3], FCM_TOKEN),
    address=FCM_TOKEN,
    signs_in=lambda received: fcm_access() if received.target == SIGN_IN else None,
)

# https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns

APNS_KEY = ec.derive_private_key(7**79, ec.SECP256R1())
APNS_PEM = APNS_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
APNS_DEVICE = "5ecc" * 16


def apns_refusal(status: int, reason: str, **more: Any) -> Reply:
    return Reply(status, json.dumps({"reason": reason, **more}, separators=(",", ":")))


APNS_TAKEN = Reply(200, "")
APNS_BAD = apns_refusal(400, "BadDeviceToken")
APNS = Vendor(
    name="apns",
    values={
        "signing_key": APNS_PEM,
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "topic": "com.example.shop",
    },
    taken=always(APNS_TAKEN),
    refuses_one=lambda r: APNS_BAD if r.headers["apns-id"] == str(delivery(1)) else APNS_TAKEN,
    lasting=always(APNS_BAD),
    throttled=apns_refusal(429, "TooManyRequests"),
    refused_credentials=apns_refusal(403, "InvalidProviderToken"),
    unreadable=None,
    probed=apns_refusal(400, "PayloadEmpty"),
    secrets=(APNS_PEM.splitlines()[1], APNS_DEVICE),
    address=APNS_DEVICE,
    about=lambda received: [received.headers["apns-id"]] if "apns-id" in received.headers else [],
)

# https://www.rfc-editor.org/rfc/rfc8030#section-5


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


VAPID_KEY = ec.derive_private_key(7**80, ec.SECP256R1())
BROWSER_KEY = ec.derive_private_key(7**81, ec.SECP256R1())
BROWSER_POINT = BROWSER_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
BROWSER_AUTH = b"sixteen bytes of"
VAPID_TEXT = base64url((7**80).to_bytes(32, "big"))


def subscription(endpoint: str, auth: bytes = BROWSER_AUTH) -> str:
    """As the devices' API keeps it."""
    keys = {"auth": base64url(auth), "p256dh": base64url(BROWSER_POINT)}
    return json.dumps({"endpoint": endpoint, "keys": keys})


def seen_by_browser(received: Received) -> dict[str, Any]:
    text = http_ece.decrypt(received.body, private_key=BROWSER_KEY, auth_secret=BROWSER_AUTH)
    found: dict[str, Any] = json.loads(text)
    return found


def about_push(received: Received) -> list[str]:
    return [seen_by_browser(received)["delivery_id"]]


WEBPUSH_TAKEN = Reply(
    201, "", {"Location": "https://push.example.net/message/qDIYHNcfAIPP_5ITvURr"}
)
WEBPUSH_BAD = Reply(400, {"code": 400, "errno": 110, "message": "Invalid crypto headers"})
WEBPUSH = Vendor(
    name="webpush",
    values={"private_key": VAPID_TEXT, "subject": "mailto:shop@example.com"},
    taken=always(WEBPUSH_TAKEN),
    refuses_one=lambda r: WEBPUSH_BAD if str(delivery(1)) in about_push(r) else WEBPUSH_TAKEN,
    lasting=always(WEBPUSH_BAD),
    throttled=Reply(429, {"code": 429, "errno": 201, "message": "Too many messages"}),
    refused_credentials=Reply(403, {"code": 403, "errno": 109, "message": "Invalid VAPID token"}),
    unreadable=None,
    secrets=(VAPID_TEXT, base64url(BROWSER_AUTH), base64url(BROWSER_POINT), "subscription-7"),
    address=subscription("{url}/push/subscription-7"),
    about=about_push,
)

VENDORS = (
    SENDGRID,
    MAILGUN,
    POSTMARK,
    RESEND,
    SES,
    SNS,
    TWILIO,
    VONAGE,
    SLACK,
    DISCORD,
    TEAMS,
    TELEGRAM,
    FCM,
    APNS,
)
