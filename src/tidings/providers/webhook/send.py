"""Send webhooks, and read what the receiver's status says."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence

import orjson

from tidings.domain.messages import Message, WebhookContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Account, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, Http, Request, retry_after
from tidings.providers.webhook.signing import Key, read_secret, sign
from tidings.settings import SettingsError

# By the standard, a receiver that cannot verify a signature refuses it. Mostly a secret was replaced at
# one end and not yet at the other, or an access rule is wrong. People mend that within the day for which
# is tried; with a permanent failure all that was sent meanwhile would be lost.
_TRY_AGAIN: Mapping[int, Reason] = {
    401: Reason.CREDENTIALS_REFUSED,
    403: Reason.CREDENTIALS_REFUSED,
    408: Reason.PROVIDER_UNAVAILABLE,
    409: Reason.PROVIDER_UNAVAILABLE,  # another call for the same message is still being handled
    425: Reason.PROVIDER_UNAVAILABLE,
    429: Reason.PROVIDER_THROTTLED,
}
_FOR_GOOD: Mapping[int, Reason] = {
    410: Reason.ENDPOINT_GONE,
    413: Reason.MESSAGE_TOO_LARGE,
}
_GATEWAY_TIMEOUT = 504
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
OURS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Header fields that are not for an account or a subscription to choose; nor are those that begin with webhook-."""


class WebhookProvider:
    """Posts each message to its address. http: guarded, for recipients choose the address.

    clock: seconds since the epoch. Raises SettingsError for a secret or header that cannot be used.
    """

    def __init__(
        self, account: Account, http: Http, clock: Callable[[], float] = time.time
    ) -> None:
        self._account = account
        self._http = http
        self._clock = clock
        self._keys = _keys(account)
        self._headers = _headers(account)

    @property
    def account(self) -> Account:
        return self._account

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        if len(messages) == 1:  # the rule, as the manifest takes one at a time; spares a task
            return [await self._send(messages[0])]
        return await asyncio.gather(*map(self._send, messages))

    async def close(self) -> None:
        """Nothing of its own to close: the HTTP client is shared."""

    async def check(self) -> str:
        """Ask the account's endpoint for its head, which asks it to do nothing."""
        url = self._account.text("url")
        if not url:
            return "No endpoint of its own to try: recipients bring theirs."
        answer = await self._http.send(
            Request("HEAD", url, headers={}, body=b"", timeout=self._account.timeout)
        )
        if isinstance(answer, Answer):
            return f"The endpoint can be reached (HTTP {answer.status} to HEAD)."
        raise ProviderCheckError(" ".join(filter(None, [answer.reason.text, answer.detail])))

    async def _send(self, message: Message) -> Outcome:
        body = _body(message)
        if body is None:
            return Permanent(Reason.CONTENT_REJECTED, detail="not a JSON payload")
        message_id = str(message.event_id or message.delivery_id)
        now = self._clock()
        headers = {
            **self._headers,
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": sign(self._keys, message_id, int(now), body),
        }
        answer = await self._http.send(
            Request("POST", message.address, headers, body, self._account.timeout)
        )
        return outcome_of(answer, now) if isinstance(answer, Answer) else answer


def _keys(account: Account) -> tuple[Key, ...]:
    keys = []
    for position, secret in enumerate(account.listed("secret"), start=1):
        try:
            keys.append(read_secret(secret))
        except ValueError as error:
            raise SettingsError(
                f"accounts.{account.name}.secret: number {position} cannot be used ({error}); "
                "allowed is whsec_ and 24 to 64 bytes in base64"
            ) from None
    if not keys:
        raise SettingsError(f"accounts.{account.name}.secret is required: webhooks are signed")
    return tuple(keys)


def _headers(account: Account) -> Mapping[str, str]:
    """Raises SettingsError for what is no header, or one that is not the account's to choose."""
    headers: dict[str, str] = {}
    for position, line in enumerate(account.listed("headers"), start=1):
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise SettingsError(
                f"accounts.{account.name}.headers: number {position} is not Name: value in ASCII"
            )
        if name in OURS or name.startswith("webhook-"):
            raise SettingsError(f"accounts.{account.name}.headers: {name} is set by Tidings")
        headers[name] = value
    return headers


def _body(message: Message) -> bytes | None:
    if not isinstance(message.content, WebhookContent):
        return None
    try:
        return orjson.dumps(
            {
                "type": message.content.type,
                "timestamp": message.accepted_at,
                "data": message.content.payload,
            },
            option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC,
        )
    except orjson.JSONEncodeError:  # a number beyond 64 bits, a lone surrogate
        return None


def outcome_of(answer: Answer, now: float) -> Outcome:
    """What the receiver's answer says. now: seconds since the epoch.

    "Interpreting success and failure" in the standard, and RFC 9110, 15.
    """
    status = answer.status
    detail = f"HTTP {status}"
    if 200 <= status < 300:
        return Accepted(detail=detail)
    if status == _GATEWAY_TIMEOUT:
        # A proxy gave up waiting; the receiver behind it may have the message.
        return Unknown(Reason.TIMED_OUT, detail)
    if status in _TRY_AGAIN or 500 <= status < 600:
        reason = _TRY_AGAIN.get(status, Reason.PROVIDER_UNAVAILABLE)
        return Transient(reason, retry_after(answer, now), detail)
    if 300 <= status < 500:
        # Redirects among them: following one would leave what the guard has checked.
        reason = _FOR_GOOD.get(status, Reason.PROVIDER_REJECTED)
        return Permanent(reason, suppress=reason is Reason.ENDPOINT_GONE, detail=detail)
    return Unknown(Reason.MALFORMED_ANSWER, detail)
