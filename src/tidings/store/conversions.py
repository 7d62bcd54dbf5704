"""Conversions: what people did, as the application tells it, and the message that each is put down to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.store.database import Connection, Reader, Record
from tidings.store.keyring import KeyRing, KeyRingError

By = Literal["named", "clicked", "opened"]
"""Why a conversion is put down to a message: the application named it, or it is the last that the user followed a link of, or
opened."""


@dataclass(frozen=True, slots=True)
class NewConversion:
    """event_id: the application's, by which it is told once. named: the notification or delivery that it is of."""

    id: UUID
    api_key_id: UUID
    name: str
    user_id: str | None
    occurred_at: datetime
    value: Decimal | None
    currency: str | None
    event_id: str | None
    fingerprint: bytes
    named: UUID | None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Conversion:
    """metadata: None where the key ring does not open it. looked: whether the message that it is put down to was looked
    for."""

    id: UUID
    name: str
    user_id: str | None
    occurred_at: datetime
    value: Decimal | None
    currency: str | None
    event_id: str | None
    looked: bool
    delivery_id: UUID | None
    by: By | None
    template_id: str | None
    template_version: int | None
    channel: str | None
    batch_id: UUID | None
    metadata: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Total:
    """Of one name, channel and currency. people: different users."""

    channel: str
    name: str
    currency: str | None
    count: int
    people: int
    value: Decimal | None


async def add(
    connection: Connection, fresh: Sequence[NewConversion], keyring: KeyRing, wait: timedelta
) -> dict[tuple[UUID, str], tuple[UUID, bytes]]:
    """Within a transaction: store those whose event id is new; who has each event id now, with the fingerprint. wait:
    until the message is looked for that each is put down to."""
    ordered = sorted(fresh, key=lambda one: (one.api_key_id, one.event_id or ""))
    await connection.execute(
        """INSERT INTO conversions (id, api_key_id, name, user_id, occurred_at, value, currency, event_id, fingerprint,
             told_delivery, sealed, look_at)
           SELECT *, now() + $12::interval FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[],
             $5::timestamptz[], $6::numeric[], $7::text[], $8::text[], $9::bytea[], $10::uuid[], $11::bytea[])
           ON CONFLICT (api_key_id, event_id) WHERE event_id IS NOT NULL DO NOTHING""",
        [one.id for one in ordered],
        [one.api_key_id for one in ordered],
        [one.name for one in ordered],
        [one.user_id for one in ordered],
        [one.occurred_at for one in ordered],
        [one.value for one in ordered],
        [one.currency for one in ordered],
        [one.event_id for one in ordered],
        [one.fingerprint for one in ordered],
        [one.named for one in ordered],
        [keyring.seal(orjson.dumps(one.metadata), one.id.bytes) for one in ordered],
        wait,
    )
    named = [one for one in ordered if one.event_id is not None]
    if not named:
        return {}
    rows = await connection.fetch(
        """SELECT c.api_key_id, c.event_id, c.id, c.fingerprint
           FROM unnest($1::uuid[], $2::text[]) AS w (api_key_id, event_id) JOIN conversions c USING (api_key_id, event_id)""",
        [one.api_key_id for one in named],
        [one.event_id for one in named],
    )
    return {(row["api_key_id"], row["event_id"]): (row["id"], row["fingerprint"]) for row in rows}


@dataclass(frozen=True, slots=True)
class _Cause:
    delivery_id: UUID
    by: By


async def attribute(connection: Connection, most: int, window: timedelta) -> int:
    """Within a transaction: put those that are due down to a message, and say how many they were. window: for so long a
    message counts. One that is named but is another user's is not what led to it."""
    rows = await connection.fetch(
        """SELECT id, user_id, occurred_at, told_delivery FROM conversions WHERE look_at <= now()
           ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED""",
        most,
    )
    if not rows:
        return 0
    causes = await _named(connection, [row for row in rows if row["told_delivery"] is not None])
    others = [row for row in rows if row["told_delivery"] is None and row["user_id"] is not None]
    causes |= await _followed(connection, others, window)
    of = await _messages(connection, sorted({one.delivery_id for one in causes.values()}))
    told = {row["id"]: row["user_id"] for row in rows}
    found = {
        key: cause
        for key, cause in causes.items()
        if (message := of.get(cause.delivery_id)) is not None
        and (told[key] is None or message["user_id"] in {None, told[key]})
    }
    messages = [of[cause.delivery_id] for cause in found.values()]
    await connection.execute(
        """UPDATE conversions c SET delivery_id = w.delivery_id, by = w.by, template_id = w.template_id,
             template_version = w.template_version, channel = w.channel, batch_id = w.batch_id,
             user_id = coalesce(c.user_id, w.user_id)
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::uuid[], $8::text[])
             AS w (id, delivery_id, by, template_id, template_version, channel, batch_id, user_id)
           WHERE c.id = w.id""",
        list(found),
        [one.delivery_id for one in found.values()],
        [one.by for one in found.values()],
        *(
            [row[name] for row in messages]
            for name in ("template_id", "template_version", "channel", "batch_id", "user_id")
        ),
    )
    await connection.execute(
        "UPDATE conversions SET look_at = NULL WHERE id = ANY ($1::uuid[])",
        [row["id"] for row in rows],
    )
    return len(rows)


async def _named(connection: Reader, rows: Sequence[Record]) -> dict[UUID, _Cause]:
    """Of a notification that is named, the delivery that a person followed or opened last, else its first."""
    if not rows:
        return {}
    named = [row["told_delivery"] for row in rows]
    found = await connection.fetch(
        """SELECT w.id, d.id AS delivery_id
           FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, named, low)
           CROSS JOIN LATERAL (
             SELECT d.id FROM deliveries d
             LEFT JOIN LATERAL (
               SELECT e.link > 0 AS clicked, e.person_at FROM engagements e
               WHERE e.delivery_id = d.id AND e.person_at IS NOT NULL
               ORDER BY 1 DESC, 2 DESC LIMIT 1) e ON true
             -- One range for both: a delivery's id lies just behind its notification's.
             WHERE d.notification_id BETWEEN w.low AND w.named AND (d.notification_id = w.named OR d.id = w.named)
             ORDER BY e.clicked DESC NULLS LAST, e.person_at DESC NULLS LAST, d.id LIMIT 1) d""",
        [row["id"] for row in rows],
        named,
        [ids.owner_range(one)[0] for one in named],
    )
    return {row["id"]: _Cause(row["delivery_id"], "named") for row in found}


async def _followed(
    connection: Reader, rows: Sequence[Record], window: timedelta
) -> dict[UUID, _Cause]:
    """The message whose link the user followed last before it, else the one that they opened last."""
    if not rows:
        return {}
    found = await connection.fetch(
        """SELECT w.id, e.delivery_id, e.clicked
           FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS w (id, user_id, occurred_at)
           CROSS JOIN LATERAL (
             SELECT e.delivery_id, e.link > 0 AS clicked FROM engagements e
             WHERE e.user_id = w.user_id AND e.person_at BETWEEN w.occurred_at - $4::interval AND w.occurred_at
             ORDER BY e.link > 0 DESC, e.person_at DESC LIMIT 1) e""",
        [row["id"] for row in rows],
        [row["user_id"] for row in rows],
        [row["occurred_at"] for row in rows],
        window,
    )
    return {
        row["id"]: _Cause(row["delivery_id"], "clicked" if row["clicked"] else "opened")
        for row in found
    }


async def _messages(connection: Reader, wanted: Sequence[UUID]) -> dict[UUID, Record]:
    """What is counted of these messages; those that are not kept any more are missing."""
    if not wanted:
        return {}
    ranges = [ids.owner_range(one) for one in wanted]
    rows = await connection.fetch(
        """WITH owned AS MATERIALIZED (
             SELECT w.id, (SELECT d.notification_id FROM deliveries d
                           WHERE d.notification_id BETWEEN w.low AND w.high AND d.id = w.id) AS notification_id
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, low, high))
           SELECT d.id, d.channel, n.template_id, n.template_version, n.batch_id, n.user_id
           FROM owned o JOIN deliveries d ON d.notification_id = o.notification_id AND d.id = o.id
           JOIN notifications n ON n.id = o.notification_id""",
        list(wanted),
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return {row["id"]: row for row in rows}


async def waiting(connection: Reader) -> bool:
    """Whether any is to be put down to a message, now or later."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM conversions WHERE look_at IS NOT NULL)"
    )
    return found


async def find(connection: Reader, conversion_id: UUID, keyring: KeyRing) -> Conversion | None:
    row = await connection.fetchrow("SELECT * FROM conversions WHERE id = $1", conversion_id)
    return None if row is None else _conversion(row, keyring)


async def of_user(
    connection: Reader, user_id: str, keyring: KeyRing, *, after: UUID, limit: int
) -> list[Conversion]:
    """In the order in which they were told."""
    rows = await connection.fetch(
        "SELECT * FROM conversions WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        user_id,
        after,
        limit,
    )
    return [_conversion(row, keyring) for row in rows]


async def of_template(
    connection: Reader, template_id: str, *, version: int | None, since: datetime
) -> list[Total]:
    """Of messages accepted since then."""
    where = "template_id = $1 AND delivery_id >= $2 AND ($3::int IS NULL OR template_version = $3)"
    rows = await connection.fetch(
        _TOTALS.format(where=where), template_id, ids.first_at(since), version
    )
    return [Total(**row) for row in rows]


async def of_batch(connection: Reader, batch_id: UUID) -> list[Total]:
    rows = await connection.fetch(_TOTALS.format(where="batch_id = $1"), batch_id)
    return [Total(**row) for row in rows]


_TOTALS = """SELECT channel, name, currency, count(*) AS count, count(DISTINCT user_id) AS people, sum(value) AS value
  FROM conversions WHERE {where} GROUP BY channel, name, currency ORDER BY channel, name, currency"""


async def anonymise(
    connection: Reader, keyring: KeyRing, *, user_id: str | None = None, of: Sequence[UUID] = ()
) -> None:
    """What is counted stays, without whose it is and what was said of it: of this user, and of these notifications and
    deliveries."""
    rows = await connection.fetch(
        """SELECT id FROM conversions WHERE user_id = $1
           UNION SELECT id FROM conversions WHERE told_delivery = ANY ($2::uuid[])
           UNION SELECT id FROM conversions WHERE delivery_id = ANY ($2::uuid[])""",
        user_id,
        list(of),
    )
    found = [row["id"] for row in rows]
    await connection.execute(
        """UPDATE conversions c SET user_id = NULL, event_id = NULL, look_at = NULL, sealed = w.sealed
           FROM unnest($1::uuid[], $2::bytea[]) AS w (id, sealed) WHERE c.id = w.id""",
        found,
        [keyring.seal(b"{}", one.bytes) for one in found],
    )


async def forget_before(connection: Connection, moment: datetime, *, most: int = 1_000) -> int:
    """Delete what was told before; how many."""
    done = await connection.execute(
        """DELETE FROM conversions WHERE id = ANY (ARRAY(
             SELECT id FROM conversions WHERE id < uuid_first_at($1) ORDER BY id LIMIT $2))""",
        moment,
        most,
    )
    return int(done.removeprefix("DELETE "))


def _conversion(row: Record, keyring: KeyRing) -> Conversion:
    names = ("id", "name", "user_id", "occurred_at", "value", "currency", "event_id", "delivery_id")
    more = ("by", "template_id", "template_version", "channel", "batch_id")
    values: dict[str, Any] = {name: row[name] for name in (*names, *more)}
    try:
        metadata = orjson.loads(keyring.open(row["sealed"], row["id"].bytes))
    except KeyRingError:
        metadata = None
    return Conversion(**values, looked=row["look_at"] is None, metadata=metadata)
