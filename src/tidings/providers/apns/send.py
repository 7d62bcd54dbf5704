"""Push messages to Apple's devices: one a call, many at once over one connection of HTTP/2."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.domain.push import APNS
from tidings.domain.reasons import Reason
from tidings.providers.apns.signing import ProviderTokens
from tidings.providers.apns.verdicts import EXPIRED, TABLE
from tidings.providers.apple import COLLAPSE_ID, LONGEST_COLLAPSE_ID, payload
from tidings.providers.bearing import BearingHttp
from tidings.providers.http import Answer, Http, retry_after
from tidings.providers.notices import (
    Notice,
    collapse_id,
    is_high,
    read_notice,
    seconds_to_keep,
)
from tidings.providers.vendor import Call, Probe, VendorProvider, document, one_each
from tidings.settings import SettingsError

_LARGEST = 4096
_TOPIC = re.compile(r"[A-Za-z0-9.-]+")
_NO_DEVICE = "0" * 64


@dataclass(frozen=True, slots=True)
class Push:
    notice: Notice
    body: bytes = field(repr=False)


class ApnsApi:
    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._topic = account.text("topic").strip()
        if not _TOPIC.fullmatch(self._topic):
            raise SettingsError(
                f"accounts.{account.name}.topic: it is the app's bundle id, com.example.shop"
            )
        self._account = account
        self._clock = clock

    def prepare(self, message: Message) -> Push | Permanent:
        notice = read_notice(message, APNS)
        if isinstance(notice, Permanent):
            return notice
        body = orjson.dumps(payload(notice))
        if len(body) > _LARGEST:
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {_LARGEST} bytes")
        return Push(notice, body)

    def groups(self, items: Sequence[Push]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Push]) -> Call:
        [push] = items
        notice = push.notice
        now = self._clock()
        ttl = seconds_to_keep(self._account, notice, now)
        headers = {
            **self._headers(),
            "apns-id": notice.delivery_id,
            "apns-priority": "10" if is_high(self._account, notice) else "5",
            "apns-expiration": str(int(now) + ttl if ttl else 0),
        }
        if collapse := collapse_id(notice, LONGEST_COLLAPSE_ID, COLLAPSE_ID):
            headers["apns-collapse-id"] = collapse
        return Call("POST", f"/3/device/{notice.address}", headers, push.body)

    def read(self, items: Sequence[Push], answer: Answer, now: float) -> Sequence[Outcome]:
        [push] = items
        if answer.status != 200:
            return [TABLE.refusal(answer.status, _reason(answer), "", retry_after(answer, now))]
        return [Accepted(answer.header("apns-id") or push.notice.delivery_id, detail="HTTP 200")]

    def probe(self) -> Probe:
        """Nothing, for no device; Apple looks at the provider token and the topic first."""
        call = Call("POST", f"/3/device/{_NO_DEVICE}", self._headers(), b"{}")
        says = tuple(f'{{"reason":"{reason}"}}' for reason in ("BadDeviceToken", "PayloadEmpty"))
        return Probe(call, proves=(400,), says=says)

    def _headers(self) -> Mapping[str, str]:
        return {
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "content-type": "application/json",
        }


def apns_provider(account: Account, http: Http, clock: Callable[[], float]) -> VendorProvider[Push]:
    """Raises SettingsError for a key, id or topic that cannot be used."""
    bearing = BearingHttp(http, ProviderTokens(account, clock), _token_expired, scheme="bearer")
    return VendorProvider(account, ApnsApi(account, clock), bearing, clock)


def _token_expired(answer: Answer) -> bool:
    return answer.status == 403 and _reason(answer) == EXPIRED


def _reason(answer: Answer) -> str:
    found = document(answer)
    reason = found.get("reason") if isinstance(found, dict) else None
    return reason if isinstance(reason, str) else ""
