"""A push message as the services want it."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tidings.domain.messages import Message, PushContent
from tidings.domain.outcomes import Permanent
from tidings.domain.priorities import Priority
from tidings.domain.provider import Account, Field
from tidings.domain.push import push_service_of
from tidings.domain.reasons import Reason

GONE = Permanent(Reason.ENDPOINT_GONE, suppress=True)
"""The device's token is no more: nothing is sent there again."""

FIELDS = (
    Field(
        "ttl",
        "For how long the service keeps a message for a device that cannot be reached; less where the "
        "notification expires earlier; a template may give another. 0: it is shown now or never.",
        kind="whole_number",
        default=2_419_200,
        minimum=0,
        maximum=2_419_200,
        unit="seconds",
    ),
    Field(
        "priority",
        "high wakes a device that sleeps; normal waits until it is awake. Of notifications of medium priority: "
        "higher ones wake it, low ones do not, and a template may say for all of its own.",
        kind="choice",
        choices=("high", "normal"),
        default="high",
    ),
)


@dataclass(frozen=True, slots=True)
class Notice:
    """address: a token, or a subscription. expires_at: seconds since the epoch. options: the content's.
    collapse_key: of the application; see collapse_id()."""

    delivery_id: str
    notification_id: str
    address: str = field(repr=False)
    title: str = field(repr=False)
    body: str = field(repr=False)
    url: str | None = field(repr=False)
    expires_at: float | None
    priority: Priority = Priority.MEDIUM
    collapse_key: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> Mapping[str, str]:
        """What an app gets beside what is shown."""
        ids = {"notification_id": self.notification_id, "delivery_id": self.delivery_id}
        link = {} if self.url is None else {"url": self.url}
        return {**self.options.get("data", {}), **ids, **link}

    @property
    def image(self) -> str:
        """Empty where there is none."""
        return _url(self.options.get("image"))

    def of_platform(self, name: str) -> Mapping[str, Any]:
        """What its template says for android, ios or web alone."""
        found: Mapping[str, Any] = self.options.get(name, {})
        return found


def read_notice(message: Message, service: str) -> Notice | Permanent:
    content = message.content
    if not isinstance(content, PushContent):
        return Permanent(Reason.CONTENT_REJECTED, detail="not a push message")
    shown = content.title + content.body
    if not shown.strip() or not _encodable(shown + (content.url or "")):
        return Permanent(Reason.CONTENT_REJECTED, detail="no text that can be sent")
    if push_service_of(message.address) != service:
        return Permanent(Reason.ADDRESS_INVALID, detail="not an address of this service")
    if content.options and (refused := _refused_options(content.options)) is not None:
        return refused
    return Notice(
        delivery_id=str(message.delivery_id),
        notification_id=str(message.notification_id),
        address=message.address,
        title=content.title,
        body=content.body,
        url=content.url,
        expires_at=message.expires_at.timestamp() if message.expires_at else None,
        priority=message.priority,
        collapse_key=message.collapse_key,
        options=content.options,
    )


def _refused_options(options: Mapping[str, Any]) -> Permanent | None:
    if not all(map(_encodable, _texts(options))):
        return Permanent(Reason.CONTENT_REJECTED, detail="a lone surrogate in a text")
    if not all(url.startswith("https://") for url in _pictures(options) if url):
        return Permanent(Reason.CONTENT_REJECTED, detail="the URL of a picture is not of https")
    return None


def seconds_to_keep(account: Account, notice: Notice, now: float) -> int:
    """The time to live. now: seconds since the epoch."""
    longest = int(notice.options.get("ttl", account.number("ttl")))
    if notice.expires_at is None:
        return longest
    return max(0, min(longest, int(notice.expires_at - now)))


def is_high(account: Account, notice: Notice) -> bool:
    """Whether it wakes a device: as its template says, else as urgent as the notification is; and for those in the
    middle as the account says."""
    if (said := notice.options.get("priority")) is not None:
        return bool(said == "high")
    if notice.priority is Priority.MEDIUM:
        return account.text("priority") != "normal"
    return notice.priority < Priority.MEDIUM


def collapse_id(notice: Notice, longest: int, allowed: re.Pattern[str]) -> str | None:
    """The collapse key in the form of a service: as it is, or else what stands for it alone. longest: in characters,
    at least 32; allowed: of ASCII, which may not forbid the alphabet of base64url."""
    key = notice.collapse_key
    if key is None or (len(key) <= longest and allowed.fullmatch(key)):
        return key
    return urlsafe_b64encode(sha256(key.encode()).digest())[:32].decode("ascii")


def browser_options(notice: Notice) -> dict[str, Any]:
    """By the names that showNotification() has for them: https://notifications.spec.whatwg.org/#api"""
    web = without_empty(notice.of_platform("web"))
    stays = web.pop("require_interaction", None)
    return web if stays is None else {**web, "requireInteraction": stays}


def without_empty(options: Mapping[str, Any]) -> dict[str, Any]:
    """A text that turned out empty says nothing."""
    return {name: value for name, value in options.items() if value not in (None, "", {})}


def _url(text: Any) -> str:
    return str(text or "").strip()


def _pictures(options: Mapping[str, Any]) -> list[str]:
    web = options.get("web", {})
    return [_url(one) for one in (options.get("image"), web.get("icon"), web.get("badge"))]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
