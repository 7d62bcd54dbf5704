"""From a valid request to what is stored of it, or to a refusal: no I/O."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.categories import Category
from tidings.domain.channels import Channel
from tidings.domain.digests import data_of
from tidings.domain.explanations import Origin, remembered, word
from tidings.domain.lanes import Lane, lane_number
from tidings.domain.planning import PlannedDelivery, Situation, plan, reachable, timing
from tidings.domain.preferences import Rule
from tidings.domain.priorities import Priority
from tidings.domain.provider import Feature
from tidings.domain.reasons import Reason
from tidings.domain.records import record
from tidings.domain.send_times import SendTimes
from tidings.domain.templates import TemplateVersion
from tidings.domain.zones import at_wall_time
from tidings.intake.attaching import listed, unserved
from tidings.intake.copying import Addressed, addressed
from tidings.intake.refusals import Refusal, RefusalCode, misfit
from tidings.intake.request import Recipient, SendRequest
from tidings.store.acceptance import NewDelivery
from tidings.store.notifications import NotificationRow
from tidings.store.people import Person

Addresses = Mapping[Channel, Sequence[str]]

_STORED = frozenset({Channel.EMAIL, Channel.SMS, Channel.PUSH})
"""The channels whose addresses are kept with a user."""


@record
class Submission:
    """A valid request with who sent it. app: the number of its API key. fingerprint: of the body, for its
    idempotency key. batch_id: the batch it belongs to. pinned: the version that is sent, whichever is the
    current one. digest_notification: the id it gets, where it is what a digest has become."""

    api_key_id: UUID
    app: int
    request: SendRequest
    fingerprint: bytes
    batch_id: UUID | None = None
    pinned: TemplateVersion | None = None
    digest_notification: UUID | None = None


@record
class Receipt:
    """repeated: it is the notification that an earlier request with the same key made."""

    notification_id: UUID
    repeated: bool = False


Result = Receipt | Refusal


@dataclass(frozen=True, slots=True)
class Reach:
    """What the configured accounts can do: channels served, and addresses for recipients without one. mail: what each
    account for email passes on."""

    channels: Collection[Channel]
    default_addresses: Mapping[Channel, str] = field(default_factory=dict, repr=False)
    mail: Sequence[Collection[Feature]] = ()


@record
class Draft:
    """A notification on its way into the database. deduplicate: seconds for which its template goes to a
    recipient once. closes_at: it waits for others, in the open digest or in one that is sent then."""

    row: NotificationRow
    deliveries: Sequence[NewDelivery]
    submission: Submission
    deduplicate: int | None = None
    closes_at: datetime | None = None


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
    category: Category,
    suppressed: Collection[tuple[Channel, str]],
    reach: Reach,
    times: SendTimes,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Draft | Refusal:
    """Decide which deliveries there will be, when, and why. category: that of the template."""
    request = submission.request
    if template is None:
        return Refusal(
            RefusalCode.UNKNOWN_TEMPLATE,
            f"There is no template {request.template_id!r}.",
            "template_id",
        )
    gathered = submission.digest_notification is not None
    # What a digest holds fitted when it was accepted.
    if (
        template.contract
        and not gathered
        and (mismatches := template.contract.mismatches(request.data))
    ):
        return misfit(mismatches)
    zone = request.recipient.timezone or person.timezone
    send_at = _send_at(request, zone, times)
    begins = max(send_at, now) if send_at else now
    if request.expires_at is not None and request.expires_at <= begins:
        detail = "expires_at is " + ("in the past." if begins == now else "not later than send_at.")
        return Refusal(RefusalCode.ALREADY_EXPIRED, detail, "expires_at")
    planned = plan(
        Situation(
            requested=request.channel_preferences,
            routing=request.routing,
            category=category,
            template_id=template.template_id,
            content=template.content.keys(),
            accounts=reach.channels,
            addresses=addresses,
            preferences=person.preferences,
            suppressed=suppressed,
            deferral=timing(
                person.preferences,
                category,
                critical=request.priority == "critical",
                zone=zone,
                moment=begins,
                times=times,
            ),
        )
    )
    unreadable = person.unreadable and _needs_stored(request, template, addresses)
    refusal = _refusal(planned, unreadable=unreadable)
    if refusal := refusal or unserved(request.email, reach.mail):
        return refusal
    email = addressed(request.email, addresses.get(Channel.EMAIL, ()), suppressed)
    row = _row(submission.digest_notification or new_id(), submission, template, person, send_at)
    if request.email and (options := {**email.options, **listed(request.email)}):
        row = replace(row, payload={**row.payload, "email": options})
    deliveries = _deliveries(row, planned, submission, email)
    if gathered:
        # The window is of its members; each opened one, or was left out.
        return Draft(row, deliveries, submission)
    closes_at = None
    if template.digest is not None:
        cadence = person.preferences.cadence(category)
        if begins == now and _waits(request):
            when, clock = person.preferences.digest_time, times.zone(zone)
            closes_at = template.digest.closes_at(cadence, when, clock, now)
        if closes_at is None:
            row = _alone(row)
    return Draft(row, deliveries, submission, template.deduplicate_seconds, closes_at)


def _waits(request: SendRequest) -> bool:
    """Whether it may wait for others to be told with. Who gets a copy of one is not to read the others."""
    return (
        request.priority != "critical"
        and request.recipient.user_id is not None
        and request.email is None
    )


def _alone(row: NotificationRow) -> NotificationRow:
    """For those who get each at once: the template sees the same names as in a digest."""
    return replace(row, payload={**row.payload, "data": data_of([row.payload["data"]], 1)})


def _refusal(planned: Sequence[PlannedDelivery], *, unreadable: bool) -> Refusal | None:
    """unreadable: what is stored of the user is needed, and cannot be opened."""
    if unreadable:
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
    return None


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


def _send_at(request: SendRequest, zone: str | None, times: SendTimes) -> datetime | None:
    if request.send_at_local is not None:
        wall = request.send_at_local
        return at_wall_time(times.zone(zone), wall.date(), wall.time())
    return request.send_at and request.send_at.astimezone(UTC)


def _row(
    notification_id: UUID,
    submission: Submission,
    template: TemplateVersion,
    person: Person,
    send_at: datetime | None,
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
        send_at=send_at,
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
    row: NotificationRow,
    planned: Sequence[PlannedDelivery],
    submission: Submission,
    email: Addressed,
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
            lane=Lane(row.priority, lane_number(submission.app, one.channel)),
            due_at=_due_at(row, one),
            decisions=_decisions(one, submission.request.recipient, email),
        )
        for ordinal, one in enumerate(planned, start=1)
    ]


def _due_at(row: NotificationRow, planned: PlannedDelivery) -> datetime | None:
    """At its expiry it is looked at, to be told expired then."""
    if planned.until is None or row.expires_at is None:
        return planned.until or row.send_at
    return min(planned.until, row.expires_at)


def _decisions(planned: PlannedDelivery, recipient: Recipient, email: Addressed) -> str | None:
    """What is not told by the other columns, and differs from what is usual."""
    words: list[str] = []
    if planned.address is not None and (origin := _origin(planned.channel, recipient)):
        words.append(word(origin))
    if planned.rule is not None and planned.rule is not Rule.CATEGORY_DEFAULT:
        words.append(word(planned.rule))
    if email.left_out and planned.channel is Channel.EMAIL:
        words.append(word(Reason.COPY_SUPPRESSED))
    if planned.until is not None and planned.reason is not None:
        words.append(word(planned.reason, until=planned.until))
    return remembered(words)


def _origin(channel: Channel, recipient: Recipient) -> Origin | None:
    """Where the address of a channel came from; None for the request."""
    match channel:
        case Channel.EMAIL:
            return None if recipient.email else Origin.STORED_ADDRESS
        case Channel.SMS:
            return None if recipient.phone else Origin.STORED_ADDRESS
        case Channel.PUSH:
            return None if recipient.push_tokens else Origin.STORED_ADDRESS
        case Channel.WEBHOOK:
            return None if recipient.webhook_url else Origin.DEFAULT_ADDRESS
        case Channel.CHAT:
            return None if recipient.chat_url else Origin.DEFAULT_ADDRESS
    return None
