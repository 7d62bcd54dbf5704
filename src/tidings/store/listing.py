"""Notifications listed, the newest first, at a bounded cost for each page.

What has an index, such as the user or the address, chooses what a page looks at. Status, channel and template have
none: one on a status would cost every settlement another index entry. They are looked at row by row, and a page
ends after so many rows, wherever it is then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import SIGNIFICANCE, DeliveryStatus
from tidings.domain.events import CATEGORY
from tidings.store.database import Reader
from tidings.store.notifications import FACTS, NotificationFacts, facts_of

LOOKED_AT = 10_000
"""Notifications that a page looks at, at the most."""

Bind = Callable[[object], str]


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; None and empty mean any. status is the status of the whole notification. events: those that tell
    events, too."""

    status: DeliveryStatus | None = None
    channel: Channel | None = None
    template_id: str | None = None
    correlation_id: str | None = None
    user_id: str | None = None
    address_hashes: Sequence[bytes] = ()
    since: datetime | None = None
    until: datetime | None = None
    events: bool = False

    @property
    def looks(self) -> bool:
        """Whether rows have to be looked at that may not be wanted."""
        return any(one is not None for one in (self.status, self.channel, self.template_id))


@dataclass(frozen=True, slots=True)
class Page:
    """next_cursor: where the next page begins; None on the last. Of a filter that looks at rows, a page can have
    fewer than asked for, or none, and not be the last."""

    rows: list[NotificationFacts]
    next_cursor: UUID | None


async def page(connection: Reader, wanted: Filter, *, before: UUID | None, limit: int) -> Page:
    """The newest below the id `before` (keyset pagination)."""
    # First, so that what is stored meanwhile cannot move the end of this page.
    end = await _end(connection, wanted, before) if wanted.looks else None
    arguments: list[object] = []
    bind = _binder(arguments)
    conditions = [*_found_by_index(wanted, before, bind), *_looked_at(wanted, bind)]
    if end is not None:
        conditions.append(f"n.id >= {bind(end)}")
    rows = await connection.fetch(
        f"""SELECT {FACTS} FROM notifications n WHERE {" AND ".join(conditions)}
            ORDER BY n.id DESC LIMIT {bind(limit)}""",
        *arguments,
    )
    found = [NotificationFacts(**facts_of(row)) for row in rows]
    return Page(found, found[-1].id if len(found) == limit else end)


async def _end(connection: Reader, wanted: Filter, before: UUID | None) -> UUID | None:
    """The last that this page may look at; None where there are fewer."""
    arguments: list[object] = []
    conditions = _found_by_index(wanted, before, _binder(arguments))
    found: UUID | None = await connection.fetchval(
        f"""SELECT n.id FROM notifications n WHERE {" AND ".join(conditions)}
            ORDER BY n.id DESC OFFSET {LOOKED_AT - 1} LIMIT 1""",
        *arguments,
    )
    return found


def _found_by_index(wanted: Filter, before: UUID | None, bind: Bind) -> list[str]:
    bounds = [one for one in (before, wanted.until and ids.first_at(wanted.until)) if one]
    conditions = [f"n.id < {bind(min(bounds))}"] if bounds else ["true"]
    if wanted.since:
        conditions.append(f"n.id >= {bind(ids.first_at(wanted.since))}")
    if not wanted.events:
        conditions.append(f"n.category <> '{CATEGORY}'")
    if wanted.correlation_id is not None:
        conditions.append(f"n.correlation_id = {bind(wanted.correlation_id)}")
    if wanted.user_id is not None:
        conditions.append(f"n.user_id = {bind(wanted.user_id)}")
    if wanted.address_hashes:
        conditions.append(
            f"""n.id IN (SELECT notification_id FROM deliveries
                WHERE address_hash = ANY({bind(list(wanted.address_hashes))}::bytea[]) AND address_hash <> '')"""
        )
    return conditions


def _looked_at(wanted: Filter, bind: Bind) -> list[str]:
    conditions = []
    if wanted.template_id is not None:
        conditions.append(f"n.template_id = {bind(wanted.template_id)}")
    if wanted.channel is not None:
        # Not EXISTS, which may become a join with all the deliveries that there are.
        conditions.append(
            f"""(SELECT true FROM deliveries d WHERE d.notification_id = n.id
                 AND d.channel = {bind(wanted.channel)} LIMIT 1)"""
        )
    if wanted.status is not None:
        ranked = bind([str(status) for status in SIGNIFICANCE])
        conditions.append(
            f"""(SELECT d.status FROM deliveries d WHERE d.notification_id = n.id
                 ORDER BY array_position({ranked}::text[], d.status) LIMIT 1) = {bind(wanted.status)}"""
        )
    return conditions


def _binder(arguments: list[object]) -> Bind:
    def bind(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    return bind
