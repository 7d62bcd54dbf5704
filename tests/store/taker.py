"""One of several processes that take from the same limits, as fast as they may; prints when its calls began."""

import asyncio
import json
import random
import sys
import time

from tidings.domain.limits import SECOND, Ask, Demand, Granted, Limit, Rate, Scope
from tidings.store import limits
from tidings.store.database import borrow, open_pool


async def work(
    dsn: str, rates: dict[str, str], seconds: float, seed: int
) -> dict[str, list[float]]:
    """Random batches, of which each delivery needs one to all of the limits; calls begin at random moments before
    their permits run out, and what would begin later does not begin."""
    dice = random.Random(seed)
    demands = [
        Demand(Limit(name, Rate.parse(text), Scope.GLOBAL), name) for name, text in rates.items()
    ]
    calls: dict[str, list[float]] = {name: [] for name in rates}
    unused: list[limits.Unused] = []
    pool = await open_pool(dsn, size=1, name="taker", hot=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asks = [
            Ask(dice.sample(demands, dice.randint(1, len(demands))))
            for _ in range(dice.randint(1, 40))
        ]
        async with borrow(pool) as connection:
            taken = await limits.take(connection, asks, clock=time.monotonic, unused=unused)
        unused = []
        for ask, verdict in zip(asks, taken.verdicts, strict=True):
            if not isinstance(verdict, Granted):
                continue
            hold = min(one.limit.rate.hold for one in ask.demands) / SECOND
            if dice.random() < 0.05:
                await asyncio.sleep(dice.random() * hold)
            began = time.monotonic()
            if began > taken.read_at + hold or dice.random() < 0.02:
                takes = zip(ask.demands, verdict.slices, strict=True)
                unused += [limits.Unused(one.key, at) for one, at in takes]
                continue
            for one in ask.demands:
                calls[one.key].append(began)
        await asyncio.sleep(dice.random() * 0.02)
    await pool.close()
    return calls


if __name__ == "__main__":
    given_dsn, given_rates, given_seconds, given_seed = sys.argv[1:]
    made = asyncio.run(
        work(given_dsn, json.loads(given_rates), float(given_seconds), int(given_seed))
    )
    print(json.dumps(made))
