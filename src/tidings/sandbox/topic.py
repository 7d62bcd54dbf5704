"""A topic of Amazon SNS: subscription, and notifications that a certificate's key has signed.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlencode
from uuid import uuid4

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tidings.sandbox.credentials import digits
from tidings.sandbox.messages import Event
from tidings.sandbox.sigv4 import REGION
from tidings.sandbox.vendor import Callback

_BASE = f"https://sns.{REGION}.amazonaws.com/ses"
"""Where Amazon has certificates and confirmations; the sandbox has them at the same path."""
ARN = f"arn:aws:sns:{REGION}:123456789012:sandbox"
CERTIFICATE = f"/SimpleNotificationService-{digits('sns certificate')}.pem"
_VERSION = "2"  # SHA-256; version 1 is SHA-1

_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def certificate() -> bytes:
    """In PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("sns.amazonaws.com")]), critical=False
        )
        .sign(_key(), SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def notification(url: str, message: str, now: float, events: Sequence[Event]) -> Callback:
    """url: who is told."""
    return _callback(
        url,
        {
            "Type": "Notification",
            "Subject": "Amazon SES Email Event Notification",
            "Message": message,
        },
        _NOTIFICATION,
        now,
        events,
    )


def confirmation(url: str, now: float) -> Callback:
    """Asks whether the one at `url` wants to be told; the answer is a GET of the SubscribeURL."""
    token = digits(url) * 4
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": ARN, "Token": token})
    text = (
        f"You have chosen to subscribe to the topic {ARN}.\nTo confirm the subscription, visit the "
        "SubscribeURL included in this message."
    )
    return _callback(
        url,
        {
            "Type": "SubscriptionConfirmation",
            "Token": token,
            "Message": text,
            "SubscribeURL": f"{_BASE}/?{query}",
        },
        _CONFIRMATION,
        now,
        (),
    )


def _callback(
    url: str,
    said: Mapping[str, str],
    signed: Sequence[str],
    now: float,
    events: Sequence[Event],
) -> Callback:
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    whole = {**said, "MessageId": str(uuid4()), "TopicArn": ARN, "Timestamp": at}
    text = "".join(f"{name}\n{whole[name]}\n" for name in signed if name in whole)
    signature = _key().sign(text.encode(), padding.PKCS1v15(), SHA256())
    whole |= {
        "SignatureVersion": _VERSION,
        "Signature": b64encode(signature).decode(),
        "SigningCertURL": f"{_BASE}{CERTIFICATE}",
    }
    headers = {
        "content-type": "text/plain; charset=UTF-8",
        "user-agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": whole["Type"],
        "x-amz-sns-message-id": whole["MessageId"],
        "x-amz-sns-topic-arn": ARN,
    }
    return Callback(url, orjson.dumps(whole), headers, events)
