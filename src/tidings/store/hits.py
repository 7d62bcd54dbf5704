"""Requests for links and pixels: kept until they are judged, and then counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.records import record
from tidings.domain.tracking import Hit, Rule
from tidings.store.database import Connection, Reader

_JUDGES = 0x6A75_6467  # one at a time, so that the hits of a message are seen together


@record
class NewHit:
    id: UUID
    delivery_id: UUID
    hit: Hit = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visited:
    """A message that was, and what its row of counts needs. links: how many of its links are tracked; refused: its
    reader does not want to be tracked."""

    delivery_id: UUID
    template_id: str
    template_version: int
    channel: str
    batch_id: UUID | None
    user_id: str | None
    sent_at: datetime | None
    links: int
    refused: bool


@record
class Count:
    """Of one link of a message, what is new."""

    of: Visited
    link: int
    requests: int
    persons: int
    rule: Rule
    first_at: datetime
    last_at: datetime
    person_at: datetime | None


async def add(connection: Reader, fresh: Sequence[NewHit]) -> None:
    await connection.execute(
        """INSERT INTO hits (id, delivery_id, link, times, head, prefetch, agent, at)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::int[], $5::bool[], $6::bool[],
             $7::text[], $8::timestamptz[])""",
        [one.id for one in fresh],
        [one.delivery_id for one in fresh],
        [one.hit.link for one in fresh],
        [one.hit.times for one in fresh],
        [one.hit.head for one in fresh],
        [one.hit.prefetch for one in fresh],
        [one.hit.agent for one in fresh],
        [one.hit.at for one in fresh],
    )


async def take(connection: Connection, before: datetime, most: int) -> dict[UUID, list[Hit]]:
    """Within a transaction: all hits of those messages whose first came before, and remove them. Nothing where another
    process judges at the moment."""
    if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _JUDGES):
        return {}
    rows = await connection.fetch(
        """DELETE FROM hits WHERE delivery_id = ANY (ARRAY(
             SELECT delivery_id FROM hits WHERE at <= $1 ORDER BY at LIMIT $2))
           RETURNING delivery_id, link, times, head, prefetch, agent, at""",
        before,
        most,
    )
    found: dict[UUID, list[Hit]] = {}
    for row in sorted(rows, key=lambda row: row["at"]):
        found.setdefault(row["delivery_id"], []).append(
            Hit(row["link"], row["at"], row["times"], row["head"], row["prefetch"], row["agent"])
        )
    return found


async def waiting(connection: Reader) -> bool:
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM hits)")
    return found


async def visited(connection: Reader, wanted: Sequence[UUID]) -> dict[UUID, Visited]:
    """Those of these messages that are kept."""
    ranges = [ids.owner_range(one) for one in wanted]
    rows = await connection.fetch(
        """WITH owned AS MATERIALIZED (
             SELECT w.id, (SELECT d.notification_id FROM deliveries d
                           WHERE d.notification_id BETWEEN w.low AND w.high AND d.id = w.id) AS notification_id
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, low, high))
           SELECT d.id AS delivery_id, n.template_id, n.template_version, d.channel, n.batch_id, n.user_id, d.sent_at,
             coalesce((SELECT max(t.links) FROM link_targets t WHERE t.delivery_id = d.id), 0) AS links,
             coalesce((SELECT NOT p.tracking FROM preferences p WHERE p.user_id = n.user_id), false) AS refused
           FROM owned o JOIN deliveries d ON d.notification_id = o.notification_id AND d.id = o.id
           JOIN notifications n ON n.id = o.notification_id""",
        list(wanted),
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return {row["delivery_id"]: Visited(**row) for row in rows}


async def count(connection: Connection, counts: Sequence[Count]) -> None:
    """Add to what was counted before."""
    await connection.execute(
        """INSERT INTO engagements AS e (delivery_id, link, template_id, template_version, channel, batch_id, user_id,
             requests, persons, rule, first_at, last_at, person_at)
           SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::int[], $5::text[], $6::uuid[], $7::text[],
             $8::int[], $9::int[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
           ON CONFLICT (delivery_id, link) DO UPDATE SET requests = e.requests + excluded.requests,
             persons = e.persons + excluded.persons, rule = excluded.rule,
             first_at = least(e.first_at, excluded.first_at), last_at = greatest(e.last_at, excluded.last_at),
             person_at = greatest(e.person_at, excluded.person_at)""",
        [one.of.delivery_id for one in counts],
        [one.link for one in counts],
        [one.of.template_id for one in counts],
        [one.of.template_version for one in counts],
        [one.of.channel for one in counts],
        [one.of.batch_id for one in counts],
        [one.of.user_id for one in counts],
        [one.requests for one in counts],
        [one.persons for one in counts],
        [one.rule for one in counts],
        [one.first_at for one in counts],
        [one.last_at for one in counts],
        [one.person_at for one in counts],
    )
