"""Proofs of callbacks that are good for one: which were used, and for what."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from hashlib import sha256

from tidings.domain.callbacks import Once
from tidings.store.database import Connection

_Key = tuple[datetime, bytes]


class Use(Enum):
    FIRST = auto()
    REPEATED = auto()
    """Used before, for a callback that said the same."""
    MISUSED = auto()
    """Used before, for one that said something else."""


async def use(connection: Connection, given: Sequence[tuple[str, Once]]) -> list[Use]:
    """(account, proof), each used now: what that is. Of those with the same proof the first counts.

    Sorted, so that two that store the same ones do not wait for each other in a circle.
    """
    keys = [_key(account, once) for account, once in given]
    says = [_hash(once.says) for _, once in given]
    firsts: dict[_Key, int] = {}
    for position, key in enumerate(keys):
        firsts.setdefault(key, position)
    ordered = sorted(firsts)
    rows = await connection.fetch(
        """INSERT INTO callback_proofs (signed_at, hash, said_hash)
           SELECT * FROM unnest($1::timestamptz[], $2::bytea[], $3::bytea[])
           ON CONFLICT DO NOTHING RETURNING signed_at, hash""",
        [signed_at for signed_at, _ in ordered],
        [proof for _, proof in ordered],
        [says[firsts[key]] for key in ordered],
    )
    fresh = {(row["signed_at"], row["hash"]) for row in rows}
    said = {key: says[firsts[key]] for key in fresh}
    said |= await _said(connection, [key for key in ordered if key not in fresh])
    uses = []
    for position, key in enumerate(keys):
        if key in fresh and firsts[key] == position:
            uses.append(Use.FIRST)
        else:
            uses.append(Use.REPEATED if said.get(key) == says[position] else Use.MISUSED)
    return uses


async def forget_before(connection: Connection, moment: datetime, *, most: int = 10_000) -> int:
    """Delete those that were signed before; how many."""
    done = await connection.execute(
        """DELETE FROM callback_proofs WHERE (signed_at, hash) IN (
             SELECT signed_at, hash FROM callback_proofs WHERE signed_at < $1 ORDER BY signed_at LIMIT $2)""",
        moment,
        most,
    )
    return int(done.removeprefix("DELETE "))


async def _said(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, bytes]:
    if not keys:
        return {}
    rows = await connection.fetch(
        """SELECT signed_at, hash, said_hash FROM callback_proofs
           WHERE (signed_at, hash) IN (SELECT * FROM unnest($1::timestamptz[], $2::bytea[]))""",
        [signed_at for signed_at, _ in keys],
        [proof for _, proof in keys],
    )
    return {(row["signed_at"], row["hash"]): row["said_hash"] for row in rows}


def _key(account: str, once: Once) -> _Key:
    named = f"{account}\0{once.token}".encode("utf-8", "replace")
    return datetime.fromtimestamp(once.signed_at, UTC), _hash(named)


def _hash(data: bytes) -> bytes:
    return sha256(data).digest()
