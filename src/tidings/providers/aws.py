"""Calls to Amazon's services: signed (Signature Version 4, by botocore), and their common errors.

botocore comes with the extra `aws`; the catalogue loads what imports this module only for an account
that needs it.
"""

import hmac
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidings.domain.provider import Account
from tidings.providers.vendor import Call, read_token

LASTS = 1.0
"""Seconds for which calls are signed as of the same time."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """What calls of one kind have in common, as of one time: each text but its end, which depends on the body."""

    made_at: float
    canonical: str = field(repr=False)
    to_sign: str = field(repr=False)
    key: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    authorization: str = field(repr=False)


class Signer:
    """Signs for one service with an account's keys. clock: seconds since any moment. Raises SettingsError for keys that
    cannot be used."""

    def __init__(
        self,
        account: Account,
        service: str,
        endpoint: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Its debug log shows each request whole, with the session token.
        logging.getLogger("botocore.auth").setLevel(logging.INFO)
        token = read_token(account, "session_token") if account.text("session_token") else None
        credentials = Credentials(
            read_token(account, "access_key_id"), read_token(account, "secret_access_key"), token
        )
        self._auth = _Auth(credentials, service, account.text("region"))
        self._endpoint = endpoint
        self._clock = clock
        self._signed: dict[tuple[object, ...], _Signed] = {}

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Call:
        """A call that is signed as of now, give or take a second; Amazon takes it for some minutes. Only the bodies are
        of any number: paths and headers are few."""
        kind = (method, path, *headers.items())
        signed = self._signed.get(kind)
        now = self._clock()
        if signed is None or now - signed.made_at >= LASTS:
            signed = self._signed[kind] = self._sign(method, path, headers, now)
        canonical = signed.canonical + sha256(body).hexdigest()
        to_sign = signed.to_sign + sha256(canonical.encode()).hexdigest()
        signature = hmac.digest(signed.key, to_sign.encode(), "sha256").hex()
        given = {**signed.headers, "authorization": signed.authorization + signature}
        return Call(method, path, given, body)

    def _sign(self, method: str, path: str, headers: Mapping[str, str], now: float) -> _Signed:
        """By botocore, which takes ten times as long as the rest of a call."""
        request = AWSRequest(method, self._endpoint + path, headers=headers, data=b"")
        self._auth.add_auth(request)
        made = {name.lower(): str(value) for name, value in request.headers.items()}
        authorization = made.pop("authorization")
        return _Signed(
            made_at=now,
            canonical=_without_digest(request.context["canonical"]),
            to_sign=_without_digest(request.context["to_sign"]),
            key=_key(self._auth.credentials.secret_key, self._auth.credential_scope(request)),
            headers=made,
            authorization=_without_digest(authorization),
        )


class _Auth(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's own, which also tells what it signs."""

    def canonical_request(self, request: AWSRequest) -> str:
        canonical: str = super().canonical_request(request)
        request.context["canonical"] = canonical
        return canonical

    def signature(self, string_to_sign: str, request: AWSRequest) -> str:
        request.context["to_sign"] = string_to_sign
        signature: str = super().signature(string_to_sign, request)
        return signature


def _key(secret: str, scope: str) -> bytes:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _without_digest(text: str) -> str:
    """Each ends with a SHA-256 in hexadecimal."""
    return text[: -2 * sha256().digest_size]
