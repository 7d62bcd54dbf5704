"""A push message as the services want it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidings.domain.messages import Message, PushContent
from tidings.domain.outcomes import Permanent
from tidings.domain.provider import Account, Field
from tidings.domain.push import push_service_of
from tidings.domain.reasons import Reason

GONE = Permanent(Reason.ENDPOINT_GONE, suppress=True)
"""The device's token is no more: nothing is sent there again."""

FIELDS = (
    Field(
        "ttl",
        "For how long the service keeps a message for a device that cannot be reached; less where the "
        "notification expires earlier. 0: it is shown now or never.",
        kind="whole_number",
        default=2_419_200,
        minimum=0,
        maximum=2_419_200,
        unit="seconds",
    ),
    Field(
        "priority",
        "high wakes a device that sleeps; normal waits until it is awake.",
        kind="choice",
        choices=("high", "normal"),
        default="high",
    ),
)


@dataclass(frozen=True, slots=True)
class Notice:
    """address: a token, or a subscription. expires_at: seconds since the epoch."""

    delivery_id: str
    notification_id: str
    address: str = field(repr=False)
    title: str = field(repr=False)
    body: str = field(repr=False)
    url: str | None = field(repr=False)
    expires_at: float | None

    @property
    def data(self) -> Mapping[str, str]:
        """What an app gets beside what is shown."""
        ids = {"notification_id": self.notification_id, "delivery_id": self.delivery_id}
        return ids if self.url is None else {**ids, "url": self.url}


def read_notice(message: Message, service: str) -> Notice | Permanent:
    content = message.content
    if not isinstance(content, PushContent):
        return Permanent(Reason.CONTENT_REJECTED, detail="not a push message")
    shown = content.title + content.body
    if not shown.strip() or not _encodable(shown + (content.url or "")):
        return Permanent(Reason.CONTENT_REJECTED, detail="no text that can be sent")
    if push_service_of(message.address) != service:
        return Permanent(Reason.ADDRESS_INVALID, detail="not an address of this service")
    return Notice(
        delivery_id=str(message.delivery_id),
        notification_id=str(message.notification_id),
        address=message.address,
        title=content.title,
        body=content.body,
        url=content.url,
        expires_at=message.expires_at.timestamp() if message.expires_at else None,
    )


def seconds_to_keep(account: Account, notice: Notice, now: float) -> int:
    """The time to live. now: seconds since the epoch."""
    longest = int(account.number("ttl"))
    if notice.expires_at is None:
        return longest
    return max(0, min(longest, int(notice.expires_at - now)))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
