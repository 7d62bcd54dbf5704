"""Which deliveries a notification has, and why: decided once, when it is accepted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.preferences import NO_PREFERENCES, Preferences
from tidings.domain.reasons import Reason

Routing = Literal["all", "fallback"]
OnUnknown = Literal["resend", "hold"]
"""resend: at least once; hold: at most once, and a person decides."""


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """queued: it starts work now or at its time; a fallback that waits its turn is pending, not queued."""

    channel: Channel
    address: str | None = field(repr=False)
    status: DeliveryStatus = DeliveryStatus.PENDING
    reason: Reason | None = None
    queued: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the decision needs to know.

    requested: the channels asked for, in order; None asks for every one that can be used.
    addresses: where the recipient can be reached. suppressed: (channel, address) not to be used.
    """

    requested: Sequence[Channel] | None
    routing: Routing
    category: str
    content: Collection[Channel]
    accounts: Collection[Channel]
    addresses: Mapping[Channel, Sequence[str]] = field(repr=False)
    preferences: Preferences = NO_PREFERENCES
    suppressed: Collection[tuple[Channel, str]] = field(default=(), repr=False)


UNREACHABLE = frozenset({Reason.NO_ADDRESS, Reason.NO_CONTENT, Reason.NO_ACCOUNT})


def plan(situation: Situation) -> list[PlannedDelivery]:
    """One planned delivery per channel and address, in the order in which they are tried."""
    planned: list[PlannedDelivery] = []
    waiting = False
    for channel in _channels(situation):
        for delivery in _for_channel(situation, channel):
            if delivery.status is not DeliveryStatus.PENDING:
                planned.append(delivery)
            elif situation.routing == "fallback" and waiting:
                planned.append(
                    PlannedDelivery(
                        delivery.channel,
                        delivery.address,
                        reason=Reason.FALLBACK_WAITING,
                        queued=False,
                    )
                )
            else:
                planned.append(delivery)
                waiting = True
    return planned


def reachable(planned: Sequence[PlannedDelivery]) -> bool:
    """Whether the recipient could be reached at all; what they do not want still counts as reachable."""
    return any(delivery.reason not in UNREACHABLE for delivery in planned)


def _channels(situation: Situation) -> Sequence[Channel]:
    if situation.requested is not None:
        return list(dict.fromkeys(situation.requested))
    return [
        channel
        for channel in Channel
        if channel in situation.content and situation.addresses.get(channel)
    ]


def _for_channel(situation: Situation, channel: Channel) -> Iterator[PlannedDelivery]:
    skipped = DeliveryStatus.SKIPPED
    if channel not in situation.content:
        yield PlannedDelivery(channel, None, skipped, Reason.NO_CONTENT, queued=False)
        return
    if channel not in situation.accounts:
        yield PlannedDelivery(channel, None, skipped, Reason.NO_ACCOUNT, queued=False)
        return
    addresses = situation.addresses.get(channel)
    if not addresses:
        yield PlannedDelivery(channel, None, skipped, Reason.NO_ADDRESS, queued=False)
        return
    wanted = situation.preferences.want(situation.category, channel)
    for address in dict.fromkeys(addresses):
        if (channel, address) in situation.suppressed:
            status, reason = DeliveryStatus.SUPPRESSED, Reason.ADDRESS_SUPPRESSED
        elif not wanted:
            status, reason = skipped, Reason.PREFERENCE_OFF
        else:
            yield PlannedDelivery(channel, address)
            continue
        yield PlannedDelivery(channel, address, status, reason, queued=False)
