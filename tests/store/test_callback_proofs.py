"""A proof that covers nothing of what a callback says is good for one callback."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tidings.domain.callbacks import Once
from tidings.store import callback_proofs
from tidings.store.callback_proofs import Use

pytestmark = pytest.mark.anyio

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(dsn, min_size=1) as found:
        yield found


async def used(
    pool: "asyncpg.Pool[asyncpg.Record]",
    *given: tuple[str, str],
    account: str = "mail",
    at: datetime = NOW,
) -> list[Use]:
    """(token, what it says), in one transaction."""
    proofs = [(account, Once(at.timestamp(), token, says.encode())) for token, says in given]
    async with pool.acquire() as connection, connection.transaction():
        return await callback_proofs.use(connection, proofs)


async def test_the_first_of_a_proof_counts(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    together = await used(pool, ("b", "1"), ("a", "1"), ("b", "1"), ("b", "2"), ("c", "1"))
    assert together == [Use.FIRST, Use.FIRST, Use.REPEATED, Use.MISUSED, Use.FIRST]
    later = await used(pool, ("c", "2"), ("a", "1"), ("d", "1"))
    assert later == [Use.MISUSED, Use.REPEATED, Use.FIRST]
    assert await used(pool, ("a", "2"), account="other") == [Use.FIRST]
    assert await used(pool, ("a", "2"), at=NOW + timedelta(seconds=1)) == [Use.FIRST]


async def test_of_many_at_the_same_time_one_is_first(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    tokens = [f"t{number}" for number in range(20)]
    batches = [
        [(token, f"{caller}") for token in (tokens if caller % 2 else tokens[::-1])]
        for caller in range(8)
    ]
    found = await asyncio.gather(*(used(pool, *batch) for batch in batches))
    by_token: dict[str, list[Use]] = {token: [] for token in tokens}
    for batch, uses in zip(batches, found, strict=True):
        for (token, _), use in zip(batch, uses, strict=True):
            by_token[token].append(use)
    assert all(
        sorted(uses, key=lambda use: use.value) == [Use.FIRST, *[Use.MISUSED] * 7]
        for uses in by_token.values()
    )


async def test_what_is_not_stored_was_not_used(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    proof = Once(NOW.timestamp(), "a", b"1")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await callback_proofs.use(connection, [("mail", proof)]) == [Use.FIRST]
        await transaction.rollback()
    assert await used(pool, ("a", "2")) == [Use.FIRST]


async def test_the_old_are_forgotten(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    for hours in range(4):
        await used(pool, ("a", "1"), ("b", "1"), at=NOW + timedelta(hours=hours))
    async with pool.acquire() as connection:
        beyond = NOW + timedelta(hours=2)
        assert await callback_proofs.forget_before(connection, beyond, most=3) == 3
        assert await callback_proofs.forget_before(connection, beyond, most=3) == 1
        assert await callback_proofs.forget_before(connection, beyond, most=3) == 0
        kept = await connection.fetch("SELECT DISTINCT signed_at FROM callback_proofs")
    assert {row["signed_at"] for row in kept} == {beyond, NOW + timedelta(hours=3)}
