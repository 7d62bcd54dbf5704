"""From a dead letter and its origin to what is stored as its replay, or why nothing is: no I/O."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.categories import Category
from tidings.domain.dead_letters import LetterState, Obstacle
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import CATEGORY
from tidings.domain.lanes import EVENTS, Lane, lane_number
from tidings.domain.planning import Situation, plan
from tidings.domain.reasons import Reason
from tidings.domain.suppressions import blocked
from tidings.domain.templates import TemplateVersion
from tidings.intake.drafting import Reach
from tidings.store.acceptance import NewDelivery
from tidings.store.dead_letters import DeadLetter
from tidings.store.notifications import NotificationRow
from tidings.store.origins import Origin
from tidings.store.people import Person


@dataclass(frozen=True, slots=True)
class Redraft:
    """A replay on its way into the database. of_fallback: its origin is one channel of several in order."""

    row: NotificationRow
    delivery: NewDelivery
    of_fallback: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A letter with all that is known when it is to be replayed. template: None for the pinned version.
    again: another channel of its fallback is being replayed. despite: what is not to keep it from that."""

    letter: DeadLetter
    origin: Origin
    template: TemplateVersion | None
    category: Category
    person: Person
    again: bool
    despite: Collection[str]


def redraft(
    case: Case, *, reach: Reach, now: datetime, new_id: Callable[[], UUID]
) -> Redraft | Obstacle | Reason:
    """Its replay, or why there is none."""
    return _obstacle(case, now) or _unplanned(case, reach) or _redraft(case, now, new_id())


def _obstacle(case: Case, now: datetime) -> Obstacle | None:
    letter, expires_at = case.letter, case.origin.notification.expires_at
    there = {
        Obstacle.ALREADY_REPLAYED: letter.state is LetterState.REPLAYED,
        Obstacle.DISCARDED: letter.state is LetterState.DISCARDED,
        Obstacle.MAY_HAVE_ARRIVED: letter.status is DeliveryStatus.UNKNOWN,
        Obstacle.NOT_NEEDED: case.origin.reached or case.again,
        Obstacle.EXPIRED: expires_at is not None and expires_at <= now,
    }
    return next((one for one, holds in there.items() if holds and one not in case.despite), None)


def _unplanned(case: Case, reach: Reach) -> Reason | None:
    """Why a new notification would not be sent to this address over this channel; None where it would."""
    if case.origin.notification.category == CATEGORY:
        return Reason.ADDRESS_SUPPRESSED if case.origin.blocks else None
    channel, address = case.letter.channel, case.origin.address
    kept_away = blocked(case.origin.blocks, case.category.id, mandatory=case.category.mandatory)
    (planned,) = plan(
        Situation(
            requested=[channel],
            routing="all",
            category=case.category,
            template_id=case.letter.template_id,
            # The version that was pinned had content for it.
            content=case.template.content.keys() if case.template else {channel},
            accounts=reach.channels,
            addresses={channel: [address]},
            preferences=case.person.preferences,
            suppressed={(channel, address)} if kept_away else (),
        )
    )
    return None if planned.status is DeliveryStatus.PENDING else planned.reason


def _redraft(case: Case, now: datetime, notification_id: UUID) -> Redraft:
    """Outside its batch, whose counts stay as they are, and without its collapse key: it takes the place of
    nothing that is newer."""
    row, channel = case.origin.notification, case.letter.channel
    expired = row.expires_at is not None and row.expires_at <= now
    row = replace(
        row,
        id=notification_id,
        template_version=case.template.version if case.template else row.template_version,
        category=case.category.id,
        routing="all",
        collapse_key=None,
        batch_id=None,
        send_at=None,
        expires_at=None if expired else row.expires_at,
        replay_of=case.letter.delivery_id,
    )
    delivery = NewDelivery(
        notification_id=row.id,
        id=ids.delivery_id(row.id, 1),
        channel=channel,
        address=case.origin.address,
        status=DeliveryStatus.PENDING,
        reason=None,
        queued=True,
        lane=EVENTS
        if row.category == CATEGORY
        else Lane(row.priority, lane_number(case.origin.app, channel)),
        due_at=None,
    )
    return Redraft(row, delivery, case.origin.notification.routing == "fallback")
