"""A service account's access tokens: asked for with a signed assertion, kept, and renewed before they expire.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pyreqwest.http import Url

from tidings.domain.outcomes import Transient
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.bearing import NO_TIME
from tidings.providers.fcm.verdicts import SIGNING_IN
from tidings.providers.http import Answer, Failure, Http, Request, retry_after
from tidings.providers.vendor import document, is_loopback
from tidings.settings import SettingsError

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
RENEW_BEFORE = 300.0
"""Seconds before its end at which a token is renewed."""

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_GOOGLE = "https://oauth2.googleapis.com/token"
_LASTS = 3600  # seconds, the most that Google takes
_TIMEOUT = 20.0
_PAUSE = 10.0
_TOKEN = re.compile(r"[\x21-\x7e]+")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]*")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    project: str
    email: str
    key: RSAPrivateKey = field(repr=False)
    key_id: str
    token_url: str


def read_service_account(account: Account) -> ServiceAccount:
    """Raises SettingsError."""
    said = _json(account)
    texts = {name: value for name, value in said.items() if isinstance(value, str)}
    project, email = texts.get("project_id", ""), texts.get("client_email", "")
    if not _PROJECT.fullmatch(project) or not email:
        raise _wrong(account, "project_id or client_email is missing")
    token_url = account.text("token_endpoint") or texts.get("token_uri") or _GOOGLE
    _check_secure(account, token_url)
    key = _key(account, texts.get("private_key", ""))
    return ServiceAccount(project, email, key, texts.get("private_key_id", ""), token_url)


def _json(account: Account) -> dict[str, Any]:
    try:
        said = orjson.loads(account.text("service_account"))
    except orjson.JSONDecodeError:
        raise _wrong(account, "it is not JSON") from None
    if not isinstance(said, dict):
        raise _wrong(account, "it is not a JSON object")
    return said


def _key(account: Account, pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _wrong(account, "private_key cannot be read") from None
    if not isinstance(key, RSAPrivateKey):
        raise _wrong(account, "private_key is not an RSA key")
    return key


def _check_secure(account: Account, text: str) -> None:
    try:
        url = Url(text)
    except ValueError:
        raise _wrong(account, "token_uri is not a URL") from None
    if url.scheme != "https" and not is_loopback(url.host_str or ""):
        raise SettingsError(
            f"accounts.{account.name}.token_endpoint: it is https; http is only for this machine "
            "(127.0.0.1, ::1, localhost)"
        )


def _wrong(account: Account, what: str) -> SettingsError:
    return SettingsError(
        f"accounts.{account.name}.service_account: {what}; it is the whole JSON of a service account's key"
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """ends_at: seconds since the epoch."""

    text: str = field(repr=False)
    ends_at: float


class AccessTokens:
    """One renewal at a time, which serves all who wait. Before a token's end it is renewed beside the calls, which go
    on with it."""

    def __init__(self, owner: ServiceAccount, http: Http, clock: Callable[[], float]) -> None:
        self._owner = owner
        self._http = http
        self._clock = clock
        self._held: _Held | None = None
        self._renew_at = 0.0
        self._renewal: asyncio.Task[_Held | Transient] | None = None

    async def token(self, seconds: float, refused: str | None = None) -> str | Transient:
        held, now = self._held, self._clock()
        if held is not None and held.text != refused and now < held.ends_at:
            if now >= self._renew_at:
                self._renewing()
            return held.text
        renewal = self._renewing()
        done, _ = await asyncio.wait([renewal], timeout=max(seconds, 0.0))
        if not done or renewal.cancelled():
            return NO_TIME
        found = renewal.result()
        return found.text if isinstance(found, _Held) else found

    async def close(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    def _renewing(self) -> "asyncio.Task[_Held | Transient]":
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        return self._renewal

    async def _renew(self) -> _Held | Transient:
        now = self._clock()
        body = urlencode({"grant_type": _GRANT, "assertion": self._assertion(int(now))}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url = self._owner.token_url
        answer = await self._http.send(Request("POST", url, headers, body, _TIMEOUT))
        found = _read(answer, now)
        if isinstance(found, _Held):
            self._held, self._renew_at = found, found.ends_at - RENEW_BEFORE
        else:  # while the old one lasts, calls go on with it
            self._renew_at = now + _PAUSE
        return found

    def _assertion(self, now: int) -> str:
        owner = self._owner
        claims = {
            "iss": owner.email,
            "scope": SCOPE,
            "aud": owner.token_url,
            "iat": now,
            "exp": now + _LASTS,
        }
        return jwt.encode(claims, owner.key, "RS256", headers={"kid": owner.key_id})


def _read(answer: Answer | Failure, now: float) -> _Held | Transient:
    """No message was sent, whatever became of the call."""
    if not isinstance(answer, Answer):
        return _transient(answer)
    found = document(answer)
    said: dict[str, Any] = found if isinstance(found, dict) else {}
    if answer.status != 200:
        code = said.get("error")
        code = code if isinstance(code, str) else ""
        return _transient(SIGNING_IN.refusal(answer.status, code, "", retry_after(answer, now)))
    token, lasts = said.get("access_token"), said.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not isinstance(lasts, int):
        return Transient(Reason.PROVIDER_UNAVAILABLE, detail="signing in: an unreadable answer")
    return _Held(token, now + lasts)


def _transient(failure: Failure) -> Transient:
    detail = f"signing in: {failure.detail or failure.reason.value}"
    if isinstance(failure, Transient):
        return Transient(failure.reason, failure.retry_after, detail)
    return Transient(Reason.PROVIDER_UNAVAILABLE, detail=detail)
