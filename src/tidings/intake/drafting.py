"""From a valid request to what is stored of it, or to a refusal: no I/O."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.lanes import Lane, lane_number
from tidings.domain.planning import PlannedDelivery, Situation, plan, reachable
from tidings.domain.priorities import Priority
from tidings.domain.templates import TemplateVersion
from tidings.intake.refusals import Refusal, RefusalCode
from tidings.intake.request import Recipient, SendRequest
from tidings.store.acceptance import NewDelivery
from tidings.store.notifications import NotificationRow
from tidings.store.people import Person

Addresses = Mapping[Channel, Sequence[str]]

_STORED = frozenset({Channel.EMAIL, Channel.SMS, Channel.PUSH})
"""The channels whose addresses are kept with a user."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid request with who sent it. app: the number of its API key. fingerprint: of the body, for its
    idempotency key. batch_id: the batch it belongs to."""

    api_key_id: UUID
    app: int
    request: SendRequest
    fingerprint: bytes
    batch_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """repeated: it is the notification that an earlier request with the same key made."""

    notification_id: UUID
    repeated: bool = False


Result = Receipt | Refusal


@dataclass(frozen=True, slots=True)
class Reach:
    """What the configured accounts can do: channels served, and addresses for recipients without one."""

    channels: Collection[Channel]
    default_addresses: Mapping[Channel, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """A notification on its way into the database. deduplicate: seconds for which its template goes to a
    recipient once."""

    row: NotificationRow
    deliveries: Sequence[NewDelivery]
    submission: Submission
    deduplicate: int | None = None


def addresses_of(
    recipient: Recipient, person: Person, reach: Reach
) -> dict[Channel, Sequence[str]]:
    """Where they can be reached: what the request says goes before what is known of the user."""
    single = {
        Channel.EMAIL: recipient.email or person.email,
        Channel.SMS: recipient.phone or person.phone,
        Channel.IN_APP: recipient.user_id,
        Channel.WEBHOOK: recipient.webhook_url or reach.default_addresses.get(Channel.WEBHOOK),
        Channel.CHAT: recipient.chat_url or reach.default_addresses.get(Channel.CHAT),
    }
    found: dict[Channel, Sequence[str]] = {
        channel: (one,) for channel, one in single.items() if one
    }
    if tokens := tuple(recipient.push_tokens) or person.push_tokens:
        found[Channel.PUSH] = tokens
    return found


def draft(
    submission: Submission,
    template: TemplateVersion | None,
    person: Person,
    addresses: Addresses,
    *,
    suppressed: Collection[tuple[Channel, str]],
    reach: Reach,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Draft | Refusal:
    """Decide which deliveries there will be, and why."""
    request = submission.request
    if template is None:
        return Refusal(
            RefusalCode.UNKNOWN_TEMPLATE,
            f"There is no template {request.template_id!r}.",
            "template_id",
        )
    if request.expires_at is not None and request.expires_at <= now:
        return Refusal(RefusalCode.ALREADY_EXPIRED, "expires_at is in the past.", "expires_at")
    planned = plan(
        Situation(
            requested=request.channel_preferences,
            routing=request.routing,
            category=template.category,
            content=template.content.keys(),
            accounts=reach.channels,
            addresses=addresses,
            preferences=person.preferences,
            suppressed=suppressed,
        )
    )
    if person.unreadable and _needs_stored(request, template, addresses):
        return Refusal(
            RefusalCode.RECIPIENT_UNREADABLE,
            "What is stored of this user cannot be opened with this key ring.",
            "recipient.user_id",
        )
    if not reachable(planned):
        return _unreachable(planned)
    if len(planned) > ids.MAX_DELIVERIES:
        return Refusal(
            RefusalCode.TOO_MANY_DELIVERIES,
            f"More than {ids.MAX_DELIVERIES} addresses.",
            "recipient",
        )
    row = _row(new_id(), submission, template, person)
    deliveries = _deliveries(row, planned, submission.app)
    return Draft(row, deliveries, submission, template.deduplicate_seconds)


def _needs_stored(request: SendRequest, template: TemplateVersion, addresses: Addresses) -> bool:
    """Whether a channel would be left out for which the user may have an address that cannot be read."""
    wanted = template.content.keys() & _STORED
    if request.channel_preferences is not None:
        wanted &= set(request.channel_preferences)
    return bool(wanted - addresses.keys())


def _unreachable(planned: Sequence[PlannedDelivery]) -> Refusal:
    why = ", ".join(f"{delivery.channel}: {delivery.reason}" for delivery in planned)
    return Refusal(
        RefusalCode.NO_REACHABLE_CHANNEL,
        f"The recipient cannot be reached ({why or 'no channel that the template has'}).",
        "recipient",
    )


def _row(
    notification_id: UUID, submission: Submission, template: TemplateVersion, person: Person
) -> NotificationRow:
    request = submission.request
    recipient = request.recipient
    return NotificationRow(
        id=notification_id,
        api_key_id=submission.api_key_id,
        template_id=template.template_id,
        template_version=template.version,
        category=template.category,
        priority=Priority.of(request.priority),
        routing=request.routing,
        on_unknown=request.on_unknown or template.on_unknown,
        user_id=recipient.user_id,
        correlation_id=request.correlation_id,
        collapse_key=request.collapse_key,
        batch_id=submission.batch_id,
        send_at=request.send_at and request.send_at.astimezone(UTC),
        expires_at=request.expires_at and request.expires_at.astimezone(UTC),
        payload={
            "data": request.data,
            "recipient": {
                "user_id": recipient.user_id,
                "locale": recipient.locale or person.locale,
                "timezone": recipient.timezone or person.timezone,
            },
            "metadata": request.metadata,
        },
    )


def _deliveries(
    row: NotificationRow, planned: Sequence[PlannedDelivery], app: int
) -> list[NewDelivery]:
    return [
        NewDelivery(
            notification_id=row.id,
            id=ids.delivery_id(row.id, ordinal),
            channel=one.channel,
            address=one.address,
            status=one.status,
            reason=one.reason,
            queued=one.queued,
            lane=Lane(row.priority, lane_number(app, one.channel)),
            due_at=row.send_at,
        )
        for ordinal, one in enumerate(planned, start=1)
    ]
