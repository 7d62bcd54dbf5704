"""Idempotency keys: the same key and body give the same notification, under any concurrency."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from tidings.store.database import Connection


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """fingerprint: a hash of the request that came with the key."""

    api_key_id: UUID
    key: str
    fingerprint: bytes
    notification_id: UUID


async def claim(
    connection: Connection, claims: Sequence[KeyClaim]
) -> dict[tuple[UUID, str], KeyClaim]:
    """Take the keys that are free; who holds each of them now. One claim per key in a call.

    A key that another transaction is taking is waited for. Sorted, so that two batches cannot wait for
    each other in a circle. A key that was held, and forgotten before we saw by whom, is taken then.
    """
    held: dict[tuple[UUID, str], KeyClaim] = {}
    while free := [one for one in claims if (one.api_key_id, one.key) not in held]:
        await _take(connection, free)
        held |= await holders(connection, [(one.api_key_id, one.key) for one in free])
    return held


async def _take(connection: Connection, claims: Sequence[KeyClaim]) -> None:
    ordered = sorted(claims, key=lambda one: (one.api_key_id, one.key))
    await connection.execute(
        """INSERT INTO idempotency_keys (api_key_id, key, fingerprint, notification_id)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[]) ON CONFLICT DO NOTHING""",
        [one.api_key_id for one in ordered],
        [one.key for one in ordered],
        [one.fingerprint for one in ordered],
        [one.notification_id for one in ordered],
    )


async def holders(
    connection: Connection, keys: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], KeyClaim]:
    """Who holds these keys; those that are free are missing."""
    rows = await connection.fetch(
        """SELECT k.api_key_id, k.key, k.fingerprint, k.notification_id
           FROM unnest($1::uuid[], $2::text[]) AS c (api_key_id, key) JOIN idempotency_keys k USING (api_key_id, key)""",
        [api_key_id for api_key_id, _ in keys],
        [key for _, key in keys],
    )
    return {(row["api_key_id"], row["key"]): KeyClaim(**dict(row)) for row in rows}


async def forget(connection: Connection, older_than: float, *, at_once: int = 10_000) -> None:
    """Delete keys older than so many seconds; in bounded transactions, so that nobody waits long for one."""
    done = ""
    while done != "DELETE 0":
        done = await connection.execute(
            """DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(secs => $1)
                 ORDER BY created_at LIMIT $2))""",
            older_than,
            at_once,
        )
