"""Messages of Amazon SNS: whether Amazon signed them, for a topic of ours.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

Anyone can have a topic of their own, whose messages Amazon signs just the same: so only those of configured topics
are taken.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from tidings.domain.callbacks import RawCallback, Refused, UnreadableCallback, Verified
from tidings.providers.events import json_object, moment, text
from tidings.providers.http import Answer, Http, Request
from tidings.providers.verifying import AHEAD, MISSING, OLD, REPEATED_FOR, WRONG

_HOST = re.compile(r"sns\.([a-z0-9-]{5,30})\.amazonaws\.com(\.cn)?")
_SIGNED: Mapping[str, Sequence[str]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED = {**_SIGNED, "UnsubscribeConfirmation": _SIGNED["SubscriptionConfirmation"]}
_HASHES: Mapping[str, Callable[[], SHA1 | SHA256]] = {"1": SHA1, "2": SHA256}
_PEM = re.compile(r"https://[a-z0-9.-]+/[A-Za-z0-9_/-]{1,100}\.pem")
"""No query: nobody can have us fetch without end what we know already."""

_TIMEOUT = 5.0
_KEPT = 16
"""Certificates; Amazon has one for each region, and a new one now and then."""


class Notices:
    """topics: ARNs. stand_in: where certificates and confirmations are fetched instead of from Amazon, for
    tests; empty for Amazon."""

    def __init__(self, topics: Sequence[str], http: Http, stand_in: str = "") -> None:
        self._topics = frozenset(topics)
        self._http = http
        self._stand_in = stand_in
        self._certificates: dict[str, _Certificate] = {}

    async def verify(self, raw: RawCallback) -> Verified | Refused:
        try:
            return await self._checked(json_object(raw), raw.received_at)
        except UnreadableCallback:
            return MISSING
        except _NotAmazonsError as error:
            return error.refused

    async def _checked(self, notice: dict[str, Any], now: float) -> Verified | Refused:
        topic, kind = text(notice, "TopicArn"), text(notice, "Type")
        if topic not in self._topics:
            return Refused("the topic is none of the account's")
        if kind not in _SIGNED or not text(notice, "Signature"):
            return MISSING
        certificate = await self._certificate(notice, topic, now)
        if not certificate.signed(notice, kind):
            return WRONG
        age = now - moment(notice.get("Timestamp"), 0.0).timestamp()
        if not -AHEAD <= age <= REPEATED_FOR:
            return OLD
        return Verified(self._follow(notice, topic, kind))

    def _follow(self, notice: dict[str, Any], topic: str, kind: str) -> str | None:
        if kind != "SubscriptionConfirmation":
            return None
        found = _amazons(text(notice, "SubscribeURL"), topic)
        if found is None:
            raise _NotAmazonsError("the subscription is not to be confirmed with Amazon")
        return self._at(found)

    async def _certificate(self, notice: dict[str, Any], topic: str, now: float) -> "_Certificate":
        url = _amazons(text(notice, "SigningCertURL"), topic)
        if url is None or not _PEM.fullmatch(url):
            raise _NotAmazonsError("the certificate is not Amazon's")
        if url not in self._certificates:
            fetched = await self._fetched(self._at(url))
            if len(self._certificates) >= _KEPT:
                self._certificates.clear()
            self._certificates[url] = fetched
        found = self._certificates[url]
        if not found.holds(now):
            raise _NotAmazonsError("the certificate is not valid now")
        return found

    async def _fetched(self, url: str) -> "_Certificate":
        answer = await self._http.send(Request("GET", url, {}, b"", _TIMEOUT))
        if not isinstance(answer, Answer) or answer.status != 200 or not answer.complete:
            raise _NotAmazonsError("the certificate cannot be fetched")
        try:
            return _Certificate(answer.body)
        except (ValueError, TypeError):
            raise _NotAmazonsError("the certificate is none") from None

    def _at(self, url: str) -> str:
        if not self._stand_in:
            return url
        parts, stand_in = urlsplit(url), urlsplit(self._stand_in)
        return urlunsplit(parts._replace(scheme=stand_in.scheme, netloc=stand_in.netloc))


class _NotAmazonsError(Exception):
    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused(detail)


class _Certificate:
    """Raises ValueError for what is none, and TypeError for one of another kind of key."""

    def __init__(self, pem: bytes) -> None:
        found = load_pem_x509_certificate(pem)
        key = found.public_key()
        if not isinstance(key, RSAPublicKey):
            raise TypeError("not an RSA key")
        self._key = key
        self._from, self._to = found.not_valid_before_utc, found.not_valid_after_utc

    def holds(self, now: float) -> bool:
        return self._from <= datetime.fromtimestamp(now, UTC) <= self._to

    def signed(self, notice: dict[str, Any], kind: str) -> bool:
        hashed = _HASHES.get(text(notice, "SignatureVersion"))
        if hashed is None:
            return False
        try:
            signature = b64decode(text(notice, "Signature"), validate=True)
            self._key.verify(signature, _canonical(notice, kind), PKCS1v15(), hashed())
        except (InvalidSignature, ValueError):
            return False
        return True


def _canonical(notice: dict[str, Any], kind: str) -> bytes:
    """Names and values in lines, without what the message has not."""
    pairs = ((name, notice.get(name)) for name in _SIGNED[kind])
    lines = (f"{name}\n{value}\n" for name, value in pairs if isinstance(value, str))
    return "".join(lines).encode("utf-8", "replace")


def _amazons(url: str, topic: str) -> str | None:
    """The URL, if it is of SNS in the topic's region: https, no port or user, no way around."""
    region = f"{topic}:::".split(":")[3]
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    found = _HOST.fullmatch(parts.netloc)
    fit = parts.scheme == "https" and found is not None and found[1] == region
    return url if fit and url.isascii() and url.isprintable() and " " not in url else None
