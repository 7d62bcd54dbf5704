"""What came of messages: opens and clicks, all of them and those of people, counted apart."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tidings.domain import ids
from tidings.domain.records import record
from tidings.store.database import Connection, Reader


@record
class LinkCount:
    """Of one link of a message, or of its pixel (0). requests: all; persons: of these, those that people made."""

    delivery_id: UUID
    link: int
    requests: int
    persons: int
    rule: str
    first_at: datetime
    last_at: datetime
    person_at: datetime | None


@record
class Totals:
    """requests: all of them; persons: those that people made; messages: of how many messages a person made one."""

    channel: str
    open_requests: int
    open_persons: int
    opened_messages: int
    click_requests: int
    click_persons: int
    clicked_messages: int


_TOTALS = """SELECT channel,
    coalesce(sum(requests) FILTER (WHERE link = 0), 0)::bigint AS open_requests,
    coalesce(sum(persons) FILTER (WHERE link = 0), 0)::bigint AS open_persons,
    count(DISTINCT delivery_id) FILTER (WHERE link = 0 AND persons > 0) AS opened_messages,
    coalesce(sum(requests) FILTER (WHERE link > 0), 0)::bigint AS click_requests,
    coalesce(sum(persons) FILTER (WHERE link > 0), 0)::bigint AS click_persons,
    count(DISTINCT delivery_id) FILTER (WHERE link > 0 AND persons > 0) AS clicked_messages
  FROM engagements WHERE {where} GROUP BY channel ORDER BY channel"""


async def of_notifications(connection: Reader, notification_ids: Sequence[UUID]) -> list[LinkCount]:
    """Those of all of these."""
    ranges = [ids.delivery_range(one) for one in notification_ids]
    rows = await connection.fetch(
        """SELECT e.delivery_id, e.link, e.requests, e.persons, e.rule, e.first_at, e.last_at, e.person_at
           FROM unnest($1::uuid[], $2::uuid[]) AS w (low, high)
           JOIN engagements e ON e.delivery_id BETWEEN w.low AND w.high ORDER BY e.delivery_id, e.link""",
        [low for low, _ in ranges],
        [high for _, high in ranges],
    )
    return [LinkCount(**row) for row in rows]


async def of_template(
    connection: Reader, template_id: str, *, version: int | None, since: datetime
) -> list[Totals]:
    """Of messages accepted since then, by channel."""
    where = "template_id = $1 AND delivery_id >= $2 AND ($3::int IS NULL OR template_version = $3)"
    rows = await connection.fetch(
        _TOTALS.format(where=where), template_id, ids.first_at(since), version
    )
    return [Totals(**row) for row in rows]


async def of_batch(connection: Reader, batch_id: UUID) -> list[Totals]:
    rows = await connection.fetch(_TOTALS.format(where="batch_id = $1"), batch_id)
    return [Totals(**row) for row in rows]


async def anonymise(connection: Connection, delivery_ids: Sequence[UUID]) -> None:
    """What is counted stays, without whose it is; what is not judged yet goes."""
    await connection.execute(
        "UPDATE engagements SET user_id = NULL WHERE delivery_id = ANY ($1::uuid[]) AND user_id IS NOT NULL",
        list(delivery_ids),
    )
    await connection.execute(
        "DELETE FROM hits WHERE delivery_id = ANY ($1::uuid[])", list(delivery_ids)
    )
