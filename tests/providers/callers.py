"""Vendors as they call back, signed with their own libraries where they have one, and not with our code."""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sendgrid.helpers.eventwebhook import EventWebhook
from svix.webhooks import Webhook
from twilio.request_validator import RequestValidator
from vonage_http_client.auth import Auth

from tests.providers.vendors import NOW, account, delivery
from tidings.domain.callbacks import Callbacks, RawCallback
from tidings.domain.provider import FieldValue
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.providers.callbacks import CALLBACKS, CallbackPorts
from tidings.providers.http import Answer, Failure, Http, Request

URL = "https://notify.example/callbacks/vendor/mine"
OURS = str(delivery(1))
NOW_SECONDS = int(NOW.timestamp())
OLD = NOW_SECONDS - 3 * 86_400
TO = "number-1@hidden.example"
R = ReceiptType


@dataclass(frozen=True)
class Sample:
    """A document of the vendor's and what it says."""

    document: Mapping[str, Any]
    type: ReceiptType
    bounce: Bounce | None = None
    code: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    def fits(self, receipt: Receipt) -> bool:
        return (
            (receipt.type, receipt.bounce) == (self.type, self.bounce)
            and (self.code is None or receipt.code == self.code)
            and all(getattr(receipt, name) == value for name, value in self.facts.items())
        )


Sign = Callable[[Any, int, int], RawCallback]
"""A document, which of the account's two secrets (2: a stranger's), and the second it is signed in."""


@dataclass(frozen=True)
class Caller:
    """ages: an old signature can be told. covers_body: the signature is over what is said."""

    name: str
    values: Mapping[str, FieldValue]
    sign: Sign
    unsigned: Callable[[RawCallback], RawCallback]
    samples: Sequence[Sample]
    unknown: Mapping[str, Any]
    foreign: Mapping[str, Any]
    without_secrets: Mapping[str, FieldValue]
    batch: bool = False
    ages: bool = True
    covers_body: bool = True

    def callbacks(self, http: Http | None = None, **values: FieldValue) -> Callbacks:
        made = account(self.name, "http://localhost:1", 10.0, **{**self.values, **values})[1]
        return CALLBACKS[self.name](made, CallbackPorts(http or AMAZON))


def posted(body: bytes, headers: Mapping[str, str], url: str = URL) -> RawCallback:
    return RawCallback("POST", url, headers, body, float(NOW_SECONDS))


def without(*names: str) -> Callable[[RawCallback], RawCallback]:
    def stripped(raw: RawCallback) -> RawCallback:
        return replace(raw, headers={n: v for n, v in raw.headers.items() if n not in names})

    return stripped


JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

# --- SendGrid -----------------------------------------------------------------------------------

_EC = [ec.derive_private_key(number, ec.SECP256R1()) for number in (1001, 1002, 1003)]


def public_key(number: int) -> str:
    public = _EC[number].public_key()
    return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sendgrid(document: Any, secret: int, at: int) -> RawCallback:
    events = document if isinstance(document, list) else [document]
    body = json.dumps(events).encode()
    signature = b64encode(_EC[secret].sign(str(at).encode() + body, ec.ECDSA(SHA256()))).decode()
    webhook = EventWebhook()
    assert webhook.verify_signature(
        body.decode(), signature, str(at), webhook.convert_public_key_to_ecdsa(public_key(secret))
    )
    named = {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": str(at),
    }
    return posted(body, {**JSON, **named})


def _sg(event: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "event": event,
        "email": TO,
        "timestamp": NOW_SECONDS,
        "sg_event_id": f"event-{event}-{number}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        "delivery_id": OURS,
        "smtp-id": "<x@y>",
        **more,
    }


_SENDGRID = Caller(
    "sendgrid",
    {"webhook_keys": (public_key(0), public_key(1)), "api_key": "k", "from": "a@shop.example"},
    sendgrid,
    without("x-twilio-email-event-webhook-signature"),
    (
        Sample(
            _sg("processed", 1), R.SENT, facts={"provider_message_id": "14c5d75ce93.dfd.64b469"}
        ),
        Sample(
            _sg("delivered", 2, response="250 OK"), R.DELIVERED, facts={"address": TO, "at": NOW}
        ),
        Sample(_sg("deferred", 3, response="400 try again"), R.DEFERRED),
        Sample(
            _sg("bounce", 4, type="bounce", status="5.1.1", reason=f"550 5.1.1 {TO} unknown"),
            R.BOUNCED,
            Bounce.HARD,
            "5.1.1",
        ),
        Sample(_sg("bounce", 5, type="blocked", status="5.7.1"), R.BOUNCED, Bounce.SOFT),
        Sample(
            _sg("bounce", 6, type="bounce", bounce_classification="Reputation"),
            R.BOUNCED,
            Bounce.SOFT,
        ),
        Sample(
            _sg("dropped", 7, reason="Bounced Address"), R.DROPPED, Bounce.HARD, "Bounced Address"
        ),
        Sample(_sg("dropped", 8, reason=f"something about {TO}"), R.DROPPED, None, ""),
        Sample(_sg("spamreport", 9), R.COMPLAINED),
        Sample(_sg("group_unsubscribe", 10, asm_group_id=1), R.UNSUBSCRIBED),
        Sample(
            _sg("open", 11, useragent="Mozilla", ip="203.0.113.9", sg_machine_open=True),
            R.OPENED,
            facts={"user_agent": "Mozilla", "ip_address": "203.0.113.9"},
        ),
        Sample(
            _sg("click", 12, url="https://a.example/x"),
            R.CLICKED,
            facts={"url": "https://a.example/x"},
        ),
    ),
    _sg("account_status_change", 13),
    {key: value for key, value in _sg("open", 14).items() if key != "delivery_id"},
    {"webhook_keys": None},
    batch=True,
)

# --- Mailgun ------------------------------------------------------------------------------------

_MAILGUN_KEYS = ("key-one", "key-two", "key-of-a-stranger")


def mailgun(document: Any, secret: int, at: int) -> RawCallback:
    token = hashlib.sha256(json.dumps(document).encode()).hexdigest()[:50]
    signature = hmac.new(
        _MAILGUN_KEYS[secret].encode(), f"{at}{token}".encode(), hashlib.sha256
    ).hexdigest()
    proof = {"timestamp": str(at), "token": token, "signature": signature}
    return posted(json.dumps({"signature": proof, "event-data": document}).encode(), JSON)


def _unsigned_mailgun(raw: RawCallback) -> RawCallback:
    return replace(
        raw, body=json.dumps({"event-data": json.loads(raw.body)["event-data"]}).encode()
    )


def _mg(event: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "event": event,
        "id": f"id-{event}-{number}",
        "timestamp": NOW_SECONDS + 0.25,
        "recipient": TO,
        "message": {"headers": {"message-id": "20130503182626.18666.16540@shop.example"}},
        "user-variables": {"delivery_id": OURS},
        **more,
    }


_MAILGUN = Caller(
    "mailgun",
    {
        "webhook_signing_keys": _MAILGUN_KEYS[:2],
        "api_key": "k",
        "domain": "shop.example",
        "from": "a@shop.example",
    },
    mailgun,
    _unsigned_mailgun,
    (
        Sample(_mg("accepted", 1), R.SENT),
        Sample(
            _mg("delivered", 2),
            R.DELIVERED,
            facts={
                "provider_message_id": "20130503182626.18666.16540@shop.example",
                "at": NOW + timedelta(seconds=0.25),
            },
        ),
        Sample(
            _mg(
                "failed",
                3,
                severity="permanent",
                reason="bounce",
                **{"delivery-status": {"code": 550, "message": TO}},
            ),
            R.BOUNCED,
            Bounce.HARD,
            "550",
        ),
        Sample(_mg("failed", 4, severity="temporary", reason="generic"), R.DEFERRED),
        Sample(
            _mg("failed", 5, severity="permanent", reason="suppress-bounce"), R.DROPPED, Bounce.HARD
        ),
        Sample(_mg("failed", 6, severity="permanent", reason="suppress-unsubscribe"), R.DROPPED),
        Sample(_mg("failed", 7, severity="permanent", reason="old"), R.BOUNCED, Bounce.SOFT),
        Sample(_mg("rejected", 8), R.REJECTED),
        Sample(_mg("opened", 9, ip="203.0.113.9"), R.OPENED, facts={"ip_address": "203.0.113.9"}),
        Sample(
            _mg("clicked", 10, url="https://a.example/x"),
            R.CLICKED,
            facts={"url": "https://a.example/x"},
        ),
        Sample(_mg("unsubscribed", 11), R.UNSUBSCRIBED),
        Sample(_mg("complained", 12), R.COMPLAINED),
    ),
    _mg("list_member_uploaded", 13),
    {**_mg("opened", 14), "user-variables": {}},
    {"webhook_signing_keys": None},
    covers_body=False,
)

# --- Postmark -----------------------------------------------------------------------------------

_POSTMARK_TOKENS = ("token-one", "token-two", "token-of-a-stranger")


def postmark(document: Any, secret: int, at: int) -> RawCallback:
    pair = b64encode(f"tidings:{_POSTMARK_TOKENS[secret]}".encode()).decode()
    return posted(json.dumps(document).encode(), {**JSON, "authorization": f"Basic {pair}"})


def _pm(record: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "RecordType": record,
        "MessageID": f"00000000-0000-0000-0000-{number:012}",
        "Recipient": TO,
        "Metadata": {"delivery_id": OURS},
        **more,
    }


_POSTMARK = Caller(
    "postmark",
    {"webhook_tokens": _POSTMARK_TOKENS[:2], "server_token": "t", "from": "a@shop.example"},
    postmark,
    without("authorization"),
    (
        Sample(
            _pm("Delivery", 1, DeliveredAt="2026-01-01T07:00:00-05:00", Details=f"250 {TO}"),
            R.DELIVERED,
            facts={"at": NOW, "provider_message_id": f"00000000-0000-0000-0000-{1:012}"},
        ),
        Sample(
            _pm(
                "Bounce",
                2,
                ID=692560173,
                Type="HardBounce",
                TypeCode=1,
                Email=TO,
                BouncedAt="2026-01-01T12:00:00Z",
            ),
            R.BOUNCED,
            Bounce.HARD,
            "HardBounce",
            {"at": NOW},
        ),
        Sample(_pm("Bounce", 3, ID=3, Type="SoftBounce"), R.BOUNCED, Bounce.SOFT),
        Sample(_pm("Bounce", 4, ID=4, Type="Transient"), R.DEFERRED),
        Sample(_pm("Bounce", 5, ID=5, Type="AutoResponder"), R.OTHER, code="AutoResponder"),
        Sample(_pm("Bounce", 6, ID=6, Type="ANewOne"), R.BOUNCED, Bounce.SOFT, "ANewOne"),
        Sample(_pm("SpamComplaint", 7, ID=7, Type="SpamComplaint"), R.COMPLAINED),
        Sample(
            _pm(
                "Open",
                8,
                ReceivedAt="2026-01-01T12:00:00.123Z",
                UserAgent="Mozilla",
                Geo={"IP": "203.0.113.9"},
            ),
            R.OPENED,
            facts={"user_agent": "Mozilla", "ip_address": "203.0.113.9"},
        ),
        Sample(
            _pm("Click", 9, OriginalLink="https://a.example/x"),
            R.CLICKED,
            facts={"url": "https://a.example/x"},
        ),
        Sample(
            _pm(
                "SubscriptionChange",
                10,
                SuppressSending=True,
                SuppressionReason="ManualSuppression",
                Origin="Recipient",
            ),
            R.UNSUBSCRIBED,
        ),
        Sample(
            _pm(
                "SubscriptionChange",
                11,
                SuppressSending=True,
                SuppressionReason="ManualSuppression",
                Origin="Customer",
            ),
            R.OTHER,
        ),
        Sample(_pm("SubscriptionChange", 12, SuppressSending=False), R.OTHER),
        Sample(
            {
                "From": "jo@hidden.example",
                "MessageID": "m",
                "TextBody": "Hi",
                "To": "in@shop.example",
            },
            R.INBOUND,
            facts={"address": "jo@hidden.example", "text": "Hi", "delivery_id": None},
        ),
    ),
    _pm("Weather", 13),
    {**_pm("Open", 14), "Metadata": {}},
    {"webhook_tokens": None},
    ages=False,
    covers_body=False,
)

# --- Resend -------------------------------------------------------------------------------------

_SVIX = tuple(f"whsec_{b64encode(bytes([n]) * 24).decode()}" for n in (1, 2, 3))


def resend(document: Any, secret: int, at: int) -> RawCallback:
    body = json.dumps(document)
    named = document.get("type") if isinstance(document, dict) else ""
    event_id = f"msg_{hashlib.sha256(body.encode()).hexdigest()[:24]}_{named}"[:60]
    signature = Webhook(_SVIX[secret]).sign(event_id, datetime.fromtimestamp(at, UTC), body)
    headers = {
        "svix-id": event_id,
        "svix-timestamp": str(at),
        "svix-signature": f"v1a,other v1,AAAA {signature}",
    }
    return posted(body.encode(), {**JSON, **headers})


def _re(kind: str, **more: Any) -> dict[str, Any]:
    data = {
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
        "from": "a@shop.example",
        "to": [TO],
        "tags": {"delivery_id": OURS},
        **more,
    }
    return {"type": kind, "created_at": "2026-01-01T12:00:00.000Z", "data": data}


_RESEND = Caller(
    "resend",
    {"webhook_secrets": _SVIX[:2], "api_key": "k", "from": "a@shop.example"},
    resend,
    without("svix-signature"),
    (
        Sample(_re("email.sent"), R.SENT, facts={"at": NOW}),
        Sample(
            _re("email.delivered", tags=[{"name": "delivery_id", "value": OURS}]),
            R.DELIVERED,
            facts={"provider_message_id": "56761188-7520-42d8-8898-ff6fc54ce618", "address": TO},
        ),
        Sample(_re("email.delivery_delayed"), R.DEFERRED),
        Sample(
            _re("email.bounced", bounce={"type": "Permanent", "subType": "General", "message": TO}),
            R.BOUNCED,
            Bounce.HARD,
            "General",
        ),
        Sample(_re("email.bounced", bounce={"type": "Transient"}), R.BOUNCED, Bounce.SOFT),
        Sample(_re("email.complained"), R.COMPLAINED),
        Sample(_re("email.opened"), R.OPENED),
        Sample(
            _re(
                "email.clicked",
                click={"link": "https://a.example/x", "ipAddress": "203.0.113.9", "userAgent": "M"},
            ),
            R.CLICKED,
            facts={"url": "https://a.example/x", "ip_address": "203.0.113.9", "user_agent": "M"},
        ),
        Sample(
            _re("email.failed", failed={"reason": "reached_daily_quota"}),
            R.FAILED,
            code="reached_daily_quota",
        ),
        Sample(_re("email.suppressed"), R.DROPPED),
        Sample(
            _re("email.received"), R.INBOUND, facts={"address": "a@shop.example", "recipient": TO}
        ),
    ),
    _re("contact.created"),
    _re("email.opened", tags={}),
    {"webhook_secrets": None},
)

# --- Twilio -------------------------------------------------------------------------------------

_TWILIO_TOKENS = ("token-one", "token-two", "token-of-a-stranger")
_NUMBER = "+14155550001"


def twilio(document: Any, secret: int, at: int) -> RawCallback:
    form = {str(k): str(v) for k, v in document.items()} if isinstance(document, dict) else {}
    ours = form.pop("ours", "")
    url = f"{URL}?tidings_delivery={ours}" if ours else URL
    signature = RequestValidator(_TWILIO_TOKENS[secret]).compute_signature(url, form)
    return posted(urlencode(form).encode(), {**FORM, "x-twilio-signature": signature}, url)


def _tw(status: str, number: int, **more: Any) -> dict[str, Any]:
    sid = f"SM{number:032x}"
    return {
        "ours": OURS,
        "MessageSid": sid,
        "MessageStatus": status,
        "To": _NUMBER,
        "From": "+15005550006",
        "AccountSid": "AC",
        **more,
    }


_INBOUND = {"MessageSid": "SM1", "SmsStatus": "received", "From": _NUMBER, "To": "+15005550006"}

_TWILIO = Caller(
    "twilio",
    {
        "account_sid": "AC" + "0" * 32,
        "auth_token": _TWILIO_TOKENS[0],
        "webhook_tokens": _TWILIO_TOKENS[1:2],
    },
    twilio,
    without("x-twilio-signature"),
    (
        Sample(_tw("sent", 1), R.SENT),
        Sample(
            _tw("delivered", 1),
            R.DELIVERED,
            facts={"provider_message_id": f"SM{1:032x}", "address": _NUMBER},
        ),
        Sample(_tw("undelivered", 2, ErrorCode="30005"), R.BOUNCED, Bounce.HARD, "30005"),
        Sample(_tw("undelivered", 3, ErrorCode="30003"), R.BOUNCED, Bounce.SOFT),
        Sample(_tw("undelivered", 4, ErrorCode="30007"), R.REJECTED),
        Sample(_tw("failed", 5, ErrorCode="30008"), R.FAILED, code="30008"),
        Sample(_tw("canceled", 6), R.DROPPED),
        Sample(
            {**_INBOUND, "Body": "Stop & go =é\n", "OptOutType": "STOP"},
            R.INBOUND,
            None,
            "STOP",
            {"text": "Stop & go =é\n", "address": _NUMBER, "recipient": "+15005550006"},
        ),
    ),
    _tw("accepted", 13),
    {key: value for key, value in _tw("delivered", 14).items() if key != "ours"},
    {"auth_token": None, "webhook_tokens": None},
    ages=False,
)

# --- Vonage -------------------------------------------------------------------------------------

_VONAGE_SECRETS = tuple(
    f"{word}-signature-secret-of-32-bytes-or-more" for word in ("one", "two", "no")
)


def vonage(document: Any, secret: int, at: int) -> RawCallback:
    body = json.dumps(document).encode()
    claims = {
        "iat": at,
        "jti": "1",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    token = jwt.encode(claims, _VONAGE_SECRETS[secret], "HS256")
    return posted(body, {**JSON, "authorization": f"Bearer {token}"})


def vonage_by_parameter(document: Mapping[str, str], secret: int, at: int) -> RawCallback:
    """As the SMS API signs: a GET with `sig`."""
    auth = Auth(api_key="k", signature_secret=_VONAGE_SECRETS[secret], signature_method="sha256")
    form = {**document, "timestamp": str(at), "nonce": "n"}
    query = urlencode({**form, "sig": auth.sign_params(dict(form))})
    return RawCallback("GET", f"{URL}?{query}", {}, b"", float(NOW_SECONDS))


def _vo(status: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "msisdn": _NUMBER[1:],
        "to": "SHOP",
        "messageId": f"0A{number:014X}",
        "status": status,
        "err-code": "0",
        "scts": "2601011200",
        "message-timestamp": "2026-01-01 12:00:07",
        "client-ref": OURS,
        **more,
    }


_VONAGE = Caller(
    "vonage",
    {
        "api_key": "k",
        "api_secret": "s",
        "from": ("SHOP",),
        "signature_secrets": _VONAGE_SECRETS[:2],
    },
    vonage,
    without("authorization"),
    (
        Sample(_vo("accepted", 1), R.SENT),
        Sample(
            _vo("delivered", 1),
            R.DELIVERED,
            facts={"at": NOW, "address": _NUMBER, "provider_message_id": f"0A{1:014X}"},
        ),
        Sample(_vo("buffered", 2), R.DEFERRED),
        Sample(_vo("failed", 3, **{"err-code": "9"}), R.BOUNCED, Bounce.HARD, "9"),
        Sample(_vo("failed", 4, **{"err-code": "2"}), R.BOUNCED, Bounce.SOFT),
        Sample(_vo("rejected", 5, **{"err-code": "6"}), R.REJECTED),
        Sample(_vo("expired", 6), R.FAILED),
        Sample(_vo("deleted", 7), R.DROPPED),
        Sample(
            {
                "msisdn": _NUMBER[1:],
                "to": "15005550006",
                "messageId": "0B1",
                "text": "stop",
                "type": "text",
                "keyword": "STOP",
                "message-timestamp": "2026-01-01 12:00:00",
            },
            R.INBOUND,
            facts={"text": "stop", "address": _NUMBER, "at": NOW, "recipient": "15005550006"},
        ),
    ),
    _vo("unknown", 13),
    {**_vo("delivered", 14), "client-ref": ""},
    {"signature_secrets": None},
)

# --- Amazon SES through SNS ---------------------------------------------------------------------

TOPIC = "arn:aws:sns:eu-west-1:123456789012:tidings"
SNS = "https://sns.eu-west-1.amazonaws.com"
_RSA = [rsa.generate_private_key(65537, 2048) for _ in range(3)]


def certificate(number: int, days: int = 30) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    key = _RSA[number]
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(NOW - timedelta(days=90))
    return (
        made.not_valid_after(NOW + timedelta(days=days))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )


_CERTIFICATES = {
    f"{SNS}/one.pem": certificate(0),
    f"{SNS}/two.pem": certificate(1),
    f"{SNS}/expired.pem": certificate(0, days=-1),
    f"{SNS}/none.pem": b"-----BEGIN CERTIFICATE-----\nnone",
}


class Amazon:
    """Gives out certificates; counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def send(self, request: Request) -> Answer | Failure:
        self.asked.append(request.url)
        found = _CERTIFICATES.get(request.url)
        return Answer(200, {}, found) if found else Answer(404, {})

    async def close(self) -> None:
        """Nothing is open."""


AMAZON = Amazon()


def notice(message: str, at: int, kind: str = "Notification", **more: str) -> dict[str, str]:
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "Type": kind,
        "MessageId": hashlib.sha256(message.encode()).hexdigest()[:36],
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": moment,
        **more,
    }


def signed_notice(fields: dict[str, str], secret: int, version: str = "2") -> RawCallback:
    signed = "".join(f"{name}\n{value}\n" for name, value in sorted(fields.items()))
    hashed = SHA1() if version == "1" else SHA256()
    signature = _RSA[secret].sign(signed.encode(), padding.PKCS1v15(), hashed)
    name = "two" if secret == 1 else "one"
    fields = {
        "SignatureVersion": version,
        "SigningCertURL": f"{SNS}/{name}.pem",
        **fields,
        "Signature": b64encode(signature).decode(),
    }
    return posted(json.dumps(fields).encode(), {"content-type": "text/plain; charset=UTF-8"})


def ses(document: Any, secret: int, at: int) -> RawCallback:
    return signed_notice(notice(json.dumps(document), at, Subject="Amazon SES"), secret)


def _unsigned_ses(raw: RawCallback) -> RawCallback:
    fields = json.loads(raw.body)
    del fields["Signature"]
    return replace(raw, body=json.dumps(fields).encode())


def _es(event: str, **more: Any) -> dict[str, Any]:
    return {
        "eventType": event,
        "mail": {
            "timestamp": "2026-01-01T11:00:00.000Z",
            "messageId": "EXAMPLE7c191be45",
            "destination": [TO],
            "tags": {"delivery_id": [OURS]},
        },
        **more,
    }


_SES = Caller(
    "ses",
    {
        "region": "eu-west-1",
        "access_key_id": "k",
        "secret_access_key": "s",
        "from": "a@shop.example",
        "topics": (TOPIC,),
    },
    ses,
    _unsigned_ses,
    (
        Sample(_es("Send", send={}), R.SENT, facts={"at": NOW - timedelta(hours=1)}),
        Sample(
            _es("Delivery", delivery={"timestamp": "2026-01-01T12:00:00.000Z", "recipients": [TO]}),
            R.DELIVERED,
            facts={"at": NOW, "address": TO, "provider_message_id": "EXAMPLE7c191be45"},
        ),
        Sample(
            _es(
                "Bounce",
                bounce={
                    "bounceType": "Permanent",
                    "bounceSubType": "General",
                    "bouncedRecipients": [
                        {"emailAddress": TO, "status": "5.1.1", "diagnosticCode": TO}
                    ],
                    "timestamp": "2026-01-01T12:00:00.000Z",
                },
            ),
            R.BOUNCED,
            Bounce.HARD,
            "5.1.1",
        ),
        Sample(
            _es(
                "Bounce",
                bounce={
                    "bounceType": "Transient",
                    "bounceSubType": "MailboxFull",
                    "bouncedRecipients": [{"emailAddress": TO}],
                },
            ),
            R.BOUNCED,
            Bounce.SOFT,
        ),
        Sample(
            _es(
                "Bounce",
                bounce={"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList"},
            ),
            R.DROPPED,
            Bounce.HARD,
        ),
        Sample(
            _es(
                "Complaint",
                complaint={
                    "complainedRecipients": [{"emailAddress": TO}],
                    "complaintFeedbackType": "abuse",
                },
            ),
            R.COMPLAINED,
            None,
            "abuse",
        ),
        Sample(_es("DeliveryDelay", deliveryDelay={"delayType": "MailboxFull"}), R.DEFERRED),
        Sample(_es("Reject", reject={"reason": "Bad content"}), R.REJECTED, code="Bad content"),
        Sample(_es("Rendering Failure", failure={"templateName": "x"}), R.FAILED),
        Sample(
            _es("Open", open={"ipAddress": "203.0.113.9", "userAgent": "M"}),
            R.OPENED,
            facts={"ip_address": "203.0.113.9", "user_agent": "M"},
        ),
        Sample(
            _es("Click", click={"link": "https://a.example/x"}),
            R.CLICKED,
            facts={"url": "https://a.example/x"},
        ),
        Sample(_es("Subscription", subscription={"source": "Header"}), R.UNSUBSCRIBED),
        Sample(
            {
                "notificationType": "Delivery",
                "mail": {"messageId": "m"},
                "delivery": {"recipients": [TO]},
            },
            R.DELIVERED,
            facts={"delivery_id": None, "provider_message_id": "m"},
        ),
    ),
    _es("Weather"),
    _es("Open", mail={"messageId": "other"}),
    {"topics": None},
)

CALLERS = (_MAILGUN, _POSTMARK, _RESEND, _SENDGRID, _SES, _TWILIO, _VONAGE)
