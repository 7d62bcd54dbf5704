"""The vendors' own client libraries, before the sandbox: what they send is taken, what they get they understand."""

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import boto3
import botocore.exceptions
import firebase_admin
import orjson
import pytest
import resend
import resend.exceptions
from firebase_admin import messaging
from firebase_admin.credentials import Certificate
from firebase_admin.exceptions import InvalidArgumentError
from google.oauth2.service_account import Credentials as GoogleCredentials
from mailgun.client import Client as MailgunClient
from postmarker.core import PostmarkClient
from postmarker.exceptions import ClientError
from python_http_client.exceptions import BadRequestsError, TooManyRequestsError, UnauthorizedError
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client as TwilioClient
from vonage_http_client import Auth, HttpClient
from vonage_sms import Sms, SmsMessage
from vonage_sms.errors import SmsError

from tests.support.sandbox import Box

HTML = "<p>Hello <b>there</b></p>"


class Diverted(HTTPAdapter):
    """For clients that know one host only: their requests go to the sandbox."""

    def __init__(self, to: str) -> None:
        super().__init__()
        self._to = to

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        assert request.url is not None
        request.url = self._to + "/" + request.url.split("/", 3)[3]
        return super().send(request, *arguments, **options)


def diverted(to: str) -> Session:
    session = Session()
    session.trust_env = False
    session.mount("https://", Diverted(to))
    return session


# --- SendGrid ---


def sendgrid_send(box: Box, to: str, key: str = "") -> Any:
    account = box.account("sendgrid")
    client = SendGridAPIClient(key or account["api_key"], host=account["endpoint"])
    mail = Mail(("shop@example.com", "Shop"), to, "Hello", "Hello there", HTML)
    return client.send(mail)


def test_sendgrid(box: Box) -> None:
    answer = sendgrid_send(box, "ann@example.com")
    assert answer.status_code == 202
    message = box.message(vendor="sendgrid")
    assert message["message_id"].startswith(answer.headers["x-message-id"])
    assert (message["to"], message["from"]) == (["ann@example.com"], "Shop <shop@example.com>")
    assert (message["subject"], message["text"], message["html"]) == ("Hello", "Hello there", HTML)


def test_sendgrid_refuses(box: Box) -> None:
    with pytest.raises(UnauthorizedError):
        sendgrid_send(box, "ann@example.com", key="SG.other")
    with pytest.raises(BadRequestsError) as refused:
        sendgrid_send(box, "invalid@example.com")
    assert refused.value.to_dict["errors"][0]["field"] == "personalizations.0.to.0.email"
    with pytest.raises(TooManyRequestsError):
        sendgrid_send(box, "throttle@example.com")
    assert sendgrid_send(box, "throttle@example.com").status_code == 202
    assert len(box.messages()) == 1


# --- Mailgun ---


def mailgun_send(box: Box, to: str, key: str = "", **more: str) -> Any:
    account = box.account("mailgun")
    client = MailgunClient(auth=("api", key or account["api_key"]), api_url=account["endpoint"])
    data = {"from": "shop@example.com", "to": to, "subject": "Hello", "text": "Hi %recipient.name%"}
    return client.messages.create(data={**data, **more}, domain=account["domain"])


def test_mailgun(box: Box) -> None:
    answer = mailgun_send(box, "ann@example.com", html=HTML)
    assert answer.status_code == 200
    message = box.message(vendor="mailgun")
    assert answer.json()["id"] == f"<{message['message_id']}>"
    assert (message["subject"], message["html"]) == ("Hello", HTML)


def test_mailgun_recipient_variables(box: Box) -> None:
    variables = '{"ann@example.com": {"name": "Ann"}, "bob@example.com": {"name": "Bob"}}'
    mailgun_send(box, "ann@example.com, bob@example.com", **{"recipient-variables": variables})
    assert [(one["to"], one["text"]) for one in box.messages()] == [
        (["ann@example.com"], "Hi Ann"),
        (["bob@example.com"], "Hi Bob"),
    ]


def test_mailgun_refuses(box: Box) -> None:
    assert mailgun_send(box, "ann@example.com", key="other").status_code == 401
    answer = mailgun_send(box, "invalid@example.com")
    assert answer.status_code == 400
    assert "not a valid address" in answer.json()["message"]
    assert box.messages() == []


# --- Postmark ---


def postmark(box: Box, token: str = "") -> Any:
    account = box.account("postmark")
    client = PostmarkClient(token or account["server_token"])
    client._session = diverted(account["endpoint"])
    return client


def test_postmark(box: Box) -> None:
    told = postmark(box).emails.send(
        From="shop@example.com",
        To="Ann <ann@example.com>",
        Subject="Hello",
        HtmlBody=HTML,
        TextBody="Hello there",
        Metadata={"order": "7"},
        Headers={"X-Shop": "1"},
    )
    message = box.message(vendor="postmark")
    assert (told["ErrorCode"], told["MessageID"]) == (0, message["message_id"])
    assert (message["to"], message["fields"]) == (["ann@example.com"], {"X-Shop": "1"})
    assert message["reference"]["Metadata"] == {"order": "7"}


def test_postmark_batch_and_refusals(box: Box) -> None:
    mail = {"From": "shop@example.com", "Subject": "Hello", "TextBody": "Hello"}
    recipients = ("ann@example.com", "suppressed@example.com", "invalid@example.com")
    told = postmark(box).emails.send_batch(*({**mail, "To": to} for to in recipients))
    assert [one["ErrorCode"] for one in told] == [0, 406, 300]
    assert box.message()["to"] == ["ann@example.com"]
    with pytest.raises(ClientError, match="token"):
        postmark(box, "other").emails.send(**mail, To="ann@example.com")


# --- Resend ---


@pytest.fixture
def resending(box: Box, monkeypatch: pytest.MonkeyPatch) -> Any:
    account = box.account("resend")
    monkeypatch.setattr(resend, "api_url", account["endpoint"])
    monkeypatch.setattr(resend, "api_key", account["api_key"])
    return {"from": "shop@example.com", "to": ["ann@example.com"], "subject": "Hello", "html": HTML}


def test_resend(box: Box, resending: Any) -> None:
    other: Any = {**resending, "to": ["bob@example.com"]}
    first = resend.Emails.send(resending, {"idempotency_key": "one"})
    again = resend.Emails.send(resending, {"idempotency_key": "one"})
    assert first["id"] == again["id"] == box.message(vendor="resend")["message_id"]
    batch = resend.Batch.send([resending, other])
    assert [one["to"] for one in box.messages()][1:] == [["ann@example.com"], ["bob@example.com"]]
    assert len(batch["data"]) == 2


def test_resend_refuses(box: Box, resending: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    invalid: Any = {**resending, "to": "invalid@example.com"}
    throttled: Any = {**resending, "to": "throttle@example.com"}
    with pytest.raises(resend.exceptions.ResendError, match="Invalid `to` field"):
        resend.Emails.send(invalid)
    with pytest.raises(resend.exceptions.RateLimitError):
        resend.Emails.send(throttled)
    monkeypatch.setattr(resend, "api_key", "re_other")
    with pytest.raises(resend.exceptions.ResendError, match="API key is invalid"):
        resend.Emails.send(resending)
    assert box.messages() == []


# --- Amazon ---


def amazon(box: Box, service: str, vendor: str, **changes: str) -> Any:
    account = {**box.account(vendor), **changes}
    return boto3.client(
        service,
        region_name=account["region"],
        aws_access_key_id=account["access_key_id"],
        aws_secret_access_key=account["secret_access_key"],
        endpoint_url=account["endpoint"],
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


SIMPLE = {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Html": {"Data": HTML}}}}


def ses_send(client: Any, to: str, content: Any = None) -> Any:
    return client.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": [to]},
        Content=content or SIMPLE,
        EmailTags=[{"Name": "order", "Value": "7"}],
    )


def test_ses(box: Box) -> None:
    client = amazon(box, "sesv2", "ses")
    told = ses_send(client, "ann@example.com")
    message = box.message(vendor="ses")
    assert (told["MessageId"], message["html"]) == (message["message_id"], HTML)
    assert message["reference"] == {"order": ["7"]}
    assert client.get_account()["SendingEnabled"] is True


def test_ses_raw_with_a_file(box: Box) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Grüße"
    mail.set_content("Hello there")
    mail.add_alternative(HTML, subtype="html")
    mail.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="bill.pdf")
    ses_send(amazon(box, "sesv2", "ses"), "ann@example.com", {"Raw": {"Data": mail.as_bytes()}})
    message = box.message()
    assert (message["subject"], message["text"].strip()) == ("Grüße", "Hello there")
    assert message["files"] == [{"name": "bill.pdf", "content_type": "application/pdf", "size": 5}]


TEMPLATE = {"Subject": "Hello, {{ name }}", "Text": "{{text}}", "Html": "<p>{{{text}}}</p>"}


def ses_send_bulk(client: Any, entries: dict[str, dict[str, str]], **template: Any) -> Any:
    return client.send_bulk_email(
        FromEmailAddress="shop@example.com",
        ReplyToAddresses=["help@example.com"],
        DefaultEmailTags=[{"Name": "order", "Value": "7"}],
        DefaultContent={
            "Template": {
                "TemplateContent": TEMPLATE,
                "TemplateData": '{"name": "there"}',
                "Headers": [{"Name": "X-Shop", "Value": "1"}, {"Name": "X-Kind", "Value": "all"}],
                **template,
            }
        },
        BulkEmailEntries=[
            {
                "Destination": {"ToAddresses": [to], "BccAddresses": ["archive@example.com"]},
                "ReplacementEmailContent": {
                    "ReplacementTemplate": {"ReplacementTemplateData": json.dumps(data)}
                },
                "ReplacementTags": [{"Name": "to", "Value": to}],
                "ReplacementHeaders": [{"Name": "x-kind", "Value": "mine"}],
            }
            for to, data in entries.items()
        ],
    )


def test_ses_bulk(box: Box) -> None:
    entries = {
        "ann@example.com": {"name": "Ann", "text": 'a < b & {{name}} \\ "c"'},
        "invalid@example.com": {"text": "to nobody"},
        "bob@example.com": {"text": "Hello\r\nthere"},
        "eve@example.com": {"name": "one value is missing"},
    }
    told = ses_send_bulk(amazon(box, "sesv2", "ses"), entries)["BulkEmailEntryResults"]
    statuses = [one["Status"] for one in told]
    assert statuses == ["SUCCESS", "INVALID_PARAMETER", "SUCCESS", "SUCCESS"]
    first, second = box.messages(vendor="ses")
    assert [one["message_id"] for one in (first, second)] == [
        told[0]["MessageId"],
        told[2]["MessageId"],
    ]
    assert (first["to"], first["subject"]) == (["ann@example.com"], "Hello, Ann")
    assert first["text"] == entries["ann@example.com"]["text"]
    assert first["html"] == f"<p>{first['text']}</p>"
    assert first["fields"] == {"X-Shop": "1", "x-kind": "mine", "Reply-To": "help@example.com"}
    assert first["reference"] == {"order": ["7"], "to": ["ann@example.com"]}
    assert (second["subject"], second["text"]) == ("Hello, there", "Hello\r\nthere")


@pytest.mark.parametrize(
    ("template", "code"),
    [
        (
            {"TemplateContent": {"Subject": "Hello", "Text": "{{#if name}}Ann{{/if}}"}},
            "BadRequestException",
        ),
        ({"TemplateContent": {"Subject": "Hello"}}, "BadRequestException"),
        ({"TemplateData": "no JSON"}, "BadRequestException"),
        ({"Headers": [{"Name": "Subject", "Value": "Another"}]}, "BadRequestException"),
        (
            {"Headers": [{"Name": f"X-{number}", "Value": "1"} for number in range(16)]},
            "BadRequestException",
        ),
        ({"TemplateName": "welcome"}, "NotFoundException"),
    ],
)
def test_ses_bulk_refuses(box: Box, template: dict[str, Any], code: str) -> None:
    client = amazon(box, "sesv2", "ses")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        ses_send_bulk(client, {"ann@example.com": {"text": "Hello"}}, **template)
    assert refused.value.response["Error"]["Code"] == code
    crowd = {f"user-{number}@example.com": {"text": "Hello"} for number in range(51)}
    with pytest.raises(client.exceptions.BadRequestException, match="from 1 to 50"):
        ses_send_bulk(client, crowd)
    assert box.messages() == []


def test_ses_refuses(box: Box) -> None:
    def code(to: str = "ann@example.com", **changes: str) -> Any:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            ses_send(amazon(box, "sesv2", "ses", **changes), to)
        return refused.value.response["Error"]["Code"]

    assert code(secret_access_key="other") == "InvalidSignatureException"
    assert code(access_key_id="AKIAOTHER") == "UnrecognizedClientException"
    assert code("invalid@example.com") == "BadRequestException"
    assert code("throttle@example.com") == "TooManyRequestsException"
    assert box.messages() == []


def test_sns(box: Box) -> None:
    client = amazon(box, "sns", "sns")
    sender = {"DataType": "String", "StringValue": "SHOP"}
    told = client.publish(
        PhoneNumber="+12025550100",
        Message="Hello, 7 < 8 & more",
        MessageAttributes={"AWS.SNS.SMS.SenderID": sender},
    )
    message = box.message(vendor="sns")
    assert (told["MessageId"], message["from"]) == (message["message_id"], "SHOP")
    assert (message["to"], message["text"]) == (["+12025550100"], "Hello, 7 < 8 & more")
    assert client.get_sms_attributes()["attributes"] == {}


def test_sns_refuses(box: Box) -> None:
    client = amazon(box, "sns", "sns")
    with pytest.raises(client.exceptions.InvalidParameterException, match="not valid to publish"):
        client.publish(PhoneNumber="+12025550101", Message="Hello")
    other = amazon(box, "sns", "sns", secret_access_key="other")
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        other.publish(PhoneNumber="+12025550100", Message="Hello")


# --- Twilio ---


def twilio(box: Box, token: str = "") -> Any:
    account = box.account("twilio")
    http = TwilioHttpClient()
    http.session = diverted(account["endpoint"])
    return TwilioClient(account["account_sid"], token or account["auth_token"], http_client=http)


def test_twilio(box: Box) -> None:
    told = twilio(box).messages.create(to="+12025550100", from_="+15005550006", body="Hello " * 40)
    message = box.message(vendor="twilio")
    assert (told.sid, told.status, told.num_segments) == (message["message_id"], "queued", "2")
    assert (message["to"], message["text"]) == (["+12025550100"], "Hello " * 40)


@pytest.mark.parametrize(
    ("number", "code"),
    [("+12025550101", 21211), ("+12025550102", 21610), ("+15005550009", 21614), ("12", 21211)],
)
def test_twilio_refuses(box: Box, number: str, code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        twilio(box).messages.create(to=number, from_="+15005550006", body="Hello")
    assert (refused.value.status, refused.value.code) == (400, code)


def test_twilio_refuses_credentials(box: Box) -> None:
    with pytest.raises(TwilioRestException) as refused:
        twilio(box, "other").messages.create(to="+12025550100", from_="+15005550006", body="Hello")
    assert (refused.value.status, refused.value.code) == (401, 20003)


# --- Vonage ---


def vonage(box: Box, secret: str = "") -> Sms:
    account = box.account("vonage")
    client = HttpClient(
        Auth(api_key=account["api_key"], api_secret=secret or account["api_secret"])
    )
    client._session = diverted(account["endpoint"])
    return Sms(client)


def test_vonage(box: Box) -> None:
    told = vonage(box).send(SmsMessage(to="12025550100", from_="SHOP", text="Hello " * 40))
    message = box.message(vendor="vonage")
    assert told.message_count == "2"
    assert told.messages[0].message_id == message["message_id"]
    assert (message["to"], message["from"]) == (["12025550100"], "SHOP")


def test_vonage_refuses(box: Box) -> None:
    wanted = SmsMessage(to="12025550102", from_="SHOP", text="Hello")
    with pytest.raises(SmsError, match="Number barred"):
        vonage(box).send(wanted)
    with pytest.raises(SmsError, match="Bad Credentials"):
        vonage(box, "other").send(wanted)


# --- Firebase Cloud Messaging ---


@pytest.fixture
def firebase(box: Box, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    """Signs in at the sandbox, where its service account says; the library knows one URL to send to."""
    account = box.account("fcm")
    at = account["endpoint"] + "/v1/projects/{0}/messages:send"
    monkeypatch.setattr(messaging._MessagingService, "FCM_URL", at)
    # Which of Google's regions the account may use is asked of Google itself, in a thread of its own.
    asks = "_is_regional_access_boundary_lookup_required"
    monkeypatch.setattr(GoogleCredentials, asks, lambda self: False)
    app = firebase_admin.initialize_app(Certificate(orjson.loads(account["service_account"])))
    yield app
    firebase_admin.delete_app(app)


def push(token: str, **more: Any) -> messaging.Message:
    shown = messaging.Notification(title="Hello", body="Hello there")
    return messaging.Message(token=token, notification=shown, **more)


def test_firebase(box: Box, firebase: firebase_admin.App) -> None:
    android = messaging.AndroidConfig(ttl=60, priority="high", collapse_key="order")
    name = messaging.send(push("device-7", data={"order": "7"}, android=android), app=firebase)
    message = box.message(vendor="fcm")
    assert (name, message["to"]) == (message["message_id"], ["device-7"])
    assert (message["subject"], message["text"]) == ("Hello", "Hello there")
    assert message["reference"] == {"order": "7"}


def test_firebase_keeps_nothing_of_a_dry_run(box: Box, firebase: firebase_admin.App) -> None:
    assert messaging.send(push("device-7"), dry_run=True, app=firebase).startswith("projects/")
    assert box.messages() == []


def test_firebase_refuses(box: Box, firebase: firebase_admin.App) -> None:
    tokens = ("bounce-7", "suppressed-7", "invalid-7", "device-7")
    told = messaging.send_each([push(token) for token in tokens], app=firebase)
    assert [type(one.exception) for one in told.responses] == [
        messaging.UnregisteredError,
        messaging.SenderIdMismatchError,
        InvalidArgumentError,
        type(None),
    ]
    assert box.message()["to"] == ["device-7"]


# --- SMTP ---


def test_smtp(box: Box) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["From"] = "Hello", "ann@example.com", "shop@example.com"
    mail.set_content("Hello there")
    with smtplib.SMTP("127.0.0.1", box.smtp_port) as client:
        client.login("sandbox", "sandbox-smtp")
        client.send_message(mail)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("shop@example.com", ["invalid@example.com"], "Subject: Hello\n\nHello")
        with pytest.raises(smtplib.SMTPDataError) as throttled:
            client.sendmail("shop@example.com", ["throttle@example.com"], "Subject: Hello\n\nHello")
    assert refused.value.recipients["invalid@example.com"][0] == 550
    assert throttled.value.smtp_code == 450
    message = box.message(vendor="smtp")
    assert (message["subject"], message["text"].strip()) == ("Hello", "Hello there")
