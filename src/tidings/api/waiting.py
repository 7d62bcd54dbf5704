"""Why a delivery waits, worked out when it is asked for: what holds back all that waits is not written to each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tidings.api.parts import Parts
from tidings.domain import pacing
from tidings.domain.breaker import State
from tidings.domain.lanes import Lane
from tidings.domain.limits import Facts, Limit, Scope, holds_for, key_of
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.store import account_health, batches, limits
from tidings.store.account_health import Shared, moment
from tidings.store.deliveries import DeliveryRow
from tidings.store.notifications import NotificationFacts

_PERSONAL = frozenset(
    {Scope.RECIPIENT, Scope.USER}
)  # who is over one of these waits for a time of its own


@dataclass(frozen=True, slots=True)
class Waiting:
    """until: when that is looked at again, where it is known."""

    reason: str
    until: datetime | None = None
    detail: str | None = None


async def waiting_for(
    parts: Parts, row: NotificationFacts, found: Sequence[DeliveryRow]
) -> dict[UUID, Waiting]:
    """By delivery; without those that do not wait. found: the notification's."""
    waiting = {
        one.id: Waiting(Reason.FALLBACK_WAITING)
        for one in found
        if one.status == "pending" and one.reason == Reason.FALLBACK_WAITING
    }
    queued = [one for one in found if one.waits is not None]
    if not queued:
        return waiting
    if await _is_paused(parts, row):
        return waiting | {one.id: Waiting(Reason.BATCH_PAUSED) for one in queued}
    due = [one for one in queued if one.waits != "later"]
    shared = {one.account: one for one in await account_health.read(parts.pool)} if due else {}
    for one in queued:
        waiting[one.id] = (
            Waiting(one.reason or Reason.SCHEDULED, one.due_at, one.detail)
            if one.waits == "later"
            else await _turn(parts, row, one, shared)
        )
    return waiting


async def _is_paused(parts: Parts, row: NotificationFacts) -> bool:
    if row.batch_id is None:
        return False
    batch = await batches.find(parts.pool, row.batch_id)
    return batch is not None and batch.state == "paused"


async def _turn(
    parts: Parts, row: NotificationFacts, one: DeliveryRow, shared: Mapping[str, Shared]
) -> Waiting:
    """What keeps it from its turn, which has come. Conditions on the recipient's country are not looked at: an account
    is held back for the others as well."""
    suited = [
        account
        for account in parts.accounts
        if one.channel in account.channels
        and (not account.categories or row.category in account.categories)
        and one.pinned in {None, account.name}
    ]
    if not suited:
        return Waiting(Reason.NO_ACCOUNT)
    return (
        _held_back(parts, suited, shared)
        or await _limited(parts, row, one, suited)
        or Waiting(Reason.QUEUED)
    )


def _held_back(
    parts: Parts, accounts: Sequence[Account], shared: Mapping[str, Shared]
) -> Waiting | None:
    """None where one of these accounts is not."""
    words, times = [], []
    for account in accounts:
        known = shared.get(account.name)
        held = known and _hold(known, breaks=account.name in parts.breakers)
        if not held:
            return None
        word, until = held
        words.append(f"{account.name}: {word}")
        times.append(until)
    known_times = [one for one in times if one is not None]
    return Waiting(
        Reason.ACCOUNTS_HELD_BACK, moment(min(known_times, default=None)), ", ".join(words)
    )


def _hold(shared: Shared, *, breaks: bool) -> tuple[str, float | None] | None:
    """What holds an account back, and until when (Unix seconds). breaks: whether it has a breaker."""
    if shared.pace.paused_until > shared.now:
        return "paused", shared.pace.paused_until
    if breaks and shared.breaker.state is not State.CLOSED:
        return shared.breaker.state.value, shared.breaker.probe_at
    rate = pacing.grown(shared.pace, shared.now).rate
    return None if rate is None else (f"slowed down to {rate:.3g}/s", None)


async def _limited(
    parts: Parts, row: NotificationFacts, one: DeliveryRow, accounts: Sequence[Account]
) -> Waiting | None:
    """None where there is room over one of these accounts."""
    if not any(limit.scope not in _PERSONAL for limit in parts.limits):
        return None
    app = Lane(row.priority, one.lane or 0).app
    names = await limits.key_names(parts.pool, [app])
    facts = [_facts(row, one, account, app, names.get(app, "")) for account in accounts]
    keys = [_keys(parts.limits, each) for each in facts]
    rates = {key: limit.rate for each in keys for key, limit in each.items()}
    used = await limits.used(parts.pool, rates, 1)
    full = {use.key: use.next_at for use in used if use.next_at is not None}
    waits: list[tuple[int, str]] = []
    for each in keys:
        over = [(full[key], limit.name) for key, limit in each.items() if key in full]
        if not over:
            return None
        waits.append(max(over))
    next_at, name = min(waits)
    until = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=next_at)
    return Waiting(Reason.RATE_LIMITED, until, name)


def _facts(
    row: NotificationFacts, one: DeliveryRow, account: Account, app: int, application: str
) -> Facts:
    return Facts(
        account=account.name,
        channel=one.channel,
        category=row.category,
        template=row.template_id,
        recipient="",
        user=None,
        api_key=str(app),
        application=application,
    )


def _keys(known: Sequence[Limit], facts: Facts) -> dict[str, Limit]:
    """The limits that hold, by what they count under."""
    return {
        key: limit
        for limit in known
        if limit.scope not in _PERSONAL
        and limit.over == "wait"
        and holds_for(limit, facts)
        and (key := key_of(limit, facts)) is not None
    }
