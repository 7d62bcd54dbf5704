"""Push messages to browsers: one a call, encrypted, to the push service that the subscription names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.domain.push import WEBPUSH
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, Http, retry_after
from tidings.providers.notices import (
    Notice,
    browser_options,
    read_notice,
    seconds_to_keep,
    without_empty,
)
from tidings.providers.urgency import topic, urgency
from tidings.providers.vendor import Call, VendorProvider, one_each
from tidings.providers.webpush.encryption import LONGEST, encrypt
from tidings.providers.webpush.subscriptions import Subscription, read_subscription
from tidings.providers.webpush.vapid import Vapid
from tidings.providers.webpush.verdicts import TABLE

TAKEN = (200, 201, 202, 204)


@dataclass(frozen=True, slots=True)
class Push:
    """text: what the service worker gets."""

    notice: Notice
    subscription: Subscription
    text: bytes = field(repr=False)


class WebPushApi:
    def __init__(self, account: Account, vapid: Vapid, clock: Callable[[], float]) -> None:
        self._account = account
        self._vapid = vapid
        self._clock = clock

    def prepare(self, message: Message) -> Push | Permanent:
        notice = read_notice(message, WEBPUSH)
        if isinstance(notice, Permanent):
            return notice
        subscription = read_subscription(notice.address)
        if subscription is None:
            return Permanent(Reason.ADDRESS_INVALID, detail="not a subscription")
        text = orjson.dumps(_told(notice))
        if len(text) > LONGEST:
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {LONGEST} bytes")
        return Push(notice, subscription, text)

    def groups(self, items: Sequence[Push]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Push]) -> Call:
        [push] = items
        to = push.subscription
        headers = {
            "authorization": self._vapid.authorization(to.origin),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(seconds_to_keep(self._account, push.notice, self._clock())),
            "urgency": urgency(self._account, push.notice),
        }
        if (about := topic(push.notice)) is not None:
            headers["topic"] = about
        return Call("POST", to.endpoint, headers, encrypt(push.text, to.key, to.point, to.auth))

    def read(self, items: Sequence[Push], answer: Answer, now: float) -> Sequence[Outcome]:
        if answer.status not in TAKEN:
            return [TABLE.refusal(answer.status, "", "", retry_after(answer, now))]
        # RFC 8030, 5: it names the message, and nothing in it is a secret of the subscription's.
        found = answer.header("location").rpartition("/")[2]
        return [Accepted(found[:200] or None, detail=f"HTTP {answer.status}")]

    def probe(self) -> str:
        return f"No service to try: subscriptions name theirs. Pages subscribe with {self._vapid.public_key}"


def _told(notice: Notice) -> Mapping[str, Any]:
    """What the page's service worker gets: by the names that showNotification() has, where it has one."""
    beside = {
        **browser_options(notice),
        "image": notice.image,
        "tag": notice.collapse_key,
        "silent": notice.options.get("sound") == "none" or None,
    }
    count = notice.options.get("badge")
    counted = {} if count is None else {"app_badge": count}
    shown = {"title": notice.title, "body": notice.body}
    return {**shown, **notice.data, **without_empty(beside), **counted}


def webpush_provider(
    account: Account, guarded: Http, clock: Callable[[], float]
) -> VendorProvider[Push]:
    """Raises SettingsError for a key or subject that cannot be used."""
    api = WebPushApi(account, Vapid(account, clock), clock)
    return VendorProvider(account, api, guarded, clock, endpoint="")
