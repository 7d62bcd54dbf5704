"""Where the tracked links of messages lead: stored before the message is sent, and the only places they can lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from uuid import UUID

import orjson

from tidings.domain.records import record
from tidings.store.database import Connection, Reader
from tidings.store.keyring import KeyRing, KeyRingError
from tidings.store.tracking_tokens import TrackingToken, leads_to


@record
class Targets:
    """Of one attempt, which has its lease to itself. urls: the first is that of link 1."""

    delivery_id: UUID
    lease: UUID
    urls: Sequence[str] = field(repr=False)


async def add(connection: Connection, fresh: Sequence[Targets], keyring: KeyRing) -> None:
    """With one statement for all. It does not wait for the disk: what must be durable before the call, the intent to
    make it, is committed behind this, and its flush covers this too."""
    await connection.execute(
        """WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
           INSERT INTO link_targets (delivery_id, lease, links, sealed)
           SELECT t.* FROM relaxed, unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bytea[]) AS t
           ON CONFLICT (delivery_id, lease) DO UPDATE SET links = excluded.links, sealed = excluded.sealed""",
        [one.delivery_id for one in fresh],
        [one.lease for one in fresh],
        [len(one.urls) for one in fresh],
        [keyring.seal(orjson.dumps(list(one.urls)), one.delivery_id.bytes) for one in fresh],
    )


async def find(
    connection: Reader, tokens: Sequence[TrackingToken], keyring: KeyRing
) -> Mapping[TrackingToken, str]:
    """Where these lead; without those that are not kept (any more)."""
    rows = await connection.fetch(
        "SELECT delivery_id, sealed FROM link_targets WHERE delivery_id = ANY ($1::uuid[])",
        list({one.delivery_id for one in tokens}),
    )
    kept: dict[UUID, list[list[str]]] = {}
    for row in rows:
        kept.setdefault(row["delivery_id"], []).append(
            _opened(row["sealed"], row["delivery_id"], keyring)
        )
    return {
        token: urls[token.link - 1]
        for token in tokens
        for urls in kept.get(token.delivery_id, ())
        if 1 <= token.link <= len(urls) and leads_to(token, urls[token.link - 1], keyring)
    }


async def forget_of(connection: Connection, delivery_ids: Sequence[UUID]) -> None:
    """Their links lead nowhere from now on."""
    await connection.execute(
        "DELETE FROM link_targets WHERE delivery_id = ANY ($1::uuid[])", list(delivery_ids)
    )


def _opened(sealed: bytes, delivery_id: UUID, keyring: KeyRing) -> list[str]:
    try:
        urls: list[str] = orjson.loads(keyring.open(sealed, delivery_id.bytes))
    except KeyRingError:
        return []
    return urls
