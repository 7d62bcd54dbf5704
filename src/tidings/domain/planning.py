"""Which deliveries a notification has, and why: decided when it is accepted, and looked at again before sending."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Literal

from tidings.domain.categories import Category
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.preferences import NO_PREFERENCES, Choice, Preferences, Rule, choose
from tidings.domain.reasons import Reason
from tidings.domain.records import record
from tidings.domain.send_times import DISTURBING, Deferral, SendTimes

Routing = Literal["all", "fallback"]
OnUnknown = Literal["resend", "hold"]
"""resend: at least once; hold: at most once, and a person decides."""


@record
class PlannedDelivery:
    """queued: it starts work now or at its time; a fallback that waits its turn is pending, not queued. rule: what
    decided whether it is wanted, where that was asked. until: when it begins, where that is later than was asked for."""

    channel: Channel
    address: str | None = field(repr=False)
    status: DeliveryStatus = DeliveryStatus.PENDING
    reason: Reason | None = None
    queued: bool = True
    rule: Rule | None = None
    until: datetime | None = None


@record
class Situation:
    """All that the decision needs to know.

    requested: the channels asked for, in order; None asks for every one that can be used.
    addresses: where the recipient can be reached. suppressed: (channel, address) not to be used.
    deferral: what quiet hours and send window say of the time; None where they allow it, or do not count.
    """

    requested: Sequence[Channel] | None
    routing: Routing
    category: Category
    template_id: str
    content: Collection[Channel]
    accounts: Collection[Channel]
    addresses: Mapping[Channel, Sequence[str]] = field(repr=False)
    preferences: Preferences = NO_PREFERENCES
    suppressed: Collection[tuple[Channel, str]] = field(default=(), repr=False)
    deferral: Deferral | None = None


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
                        channel,
                        delivery.address,
                        reason=Reason.FALLBACK_WAITING,
                        queued=False,
                        rule=delivery.rule,
                    )
                )
            else:
                planned.append(delivery)
                waiting = True
    return planned


def reachable(planned: Sequence[PlannedDelivery]) -> bool:
    """Whether the recipient could be reached at all; what they do not want still counts as reachable."""
    return any(delivery.reason not in UNREACHABLE for delivery in planned)


def timing(
    preferences: Preferences,
    category: Category,
    *,
    critical: bool,
    zone: str | None,
    moment: datetime,
    times: SendTimes,
) -> Deferral | None:
    """What quiet hours and send window say of this moment. zone: of the recipient, where it is known."""
    if critical:
        return None
    quiet = preferences.quiet_hours if category.quiet_hours else None
    return times.deferral(quiet, category.window, zone, moment)


def unwanted(rule: Rule) -> Reason:
    """The reason of what is not wanted by this rule."""
    return Reason.NOT_CHOSEN if rule is Rule.CATEGORY_DEFAULT else Reason.PREFERENCE_OFF


def _channels(situation: Situation) -> Sequence[Channel]:
    if situation.requested is not None:
        return list(dict.fromkeys(situation.requested))
    return [
        channel
        for channel in Channel
        if channel in situation.content and situation.addresses.get(channel)
    ]


def _for_channel(situation: Situation, channel: Channel) -> list[PlannedDelivery]:
    addresses = situation.addresses.get(channel)
    if (missing := _missing(situation, channel)) is not None or not addresses:
        return [PlannedDelivery(channel, None, DeliveryStatus.SKIPPED, missing, queued=False)]
    choice = choose(situation.preferences, situation.category, situation.template_id, channel)
    return [
        _for_address(situation, channel, address, choice) for address in dict.fromkeys(addresses)
    ]


def _for_address(
    situation: Situation, channel: Channel, address: str, choice: Choice
) -> PlannedDelivery:
    deferral = situation.deferral if channel in DISTURBING else None
    if (channel, address) in situation.suppressed:
        status, reason = DeliveryStatus.SUPPRESSED, Reason.ADDRESS_SUPPRESSED
    elif not choice.wanted:
        status, reason = DeliveryStatus.SKIPPED, unwanted(choice.rule)
    elif deferral is None:
        return PlannedDelivery(channel, address, rule=choice.rule)
    elif deferral.until is None:
        status, reason = DeliveryStatus.SKIPPED, deferral.reason
    else:
        return PlannedDelivery(
            channel, address, reason=deferral.reason, rule=choice.rule, until=deferral.until
        )
    return PlannedDelivery(channel, address, status, reason, queued=False, rule=choice.rule)


def _missing(situation: Situation, channel: Channel) -> Reason | None:
    """What the channel lacks."""
    if channel not in situation.content:
        return Reason.NO_CONTENT
    if channel not in situation.accounts:
        return Reason.NO_ACCOUNT
    return None if situation.addresses.get(channel) else Reason.NO_ADDRESS
