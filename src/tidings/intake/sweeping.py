"""What is done with many rows, in the background: soon after it was asked for, and after a crash."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tidings.store.database import Connection, Pool, borrow
from tidings.store.rounds import attempt, keep_at

_LOOK_EVERY = 30.0  # seconds: for sweeps whose process died

Step = Callable[[Connection], Awaitable[bool]]
"""Does one page of what is stored to be done; False when nothing is."""


class Sweeper:
    """Does the sweeps that are stored, a page at a time, until none is left; then waits for the next."""

    def __init__(self, pool: Pool, *steps: Step) -> None:
        self._pool = pool
        self._steps = steps
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """After the commit that stored a sweep."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("sweep", self._work, self._wanted)

    async def _work(self) -> float:
        """A kind of sweep that fails keeps none of the others from being done."""
        return min([await attempt("sweep", partial(self._finish, step)) for step in self._steps])

    async def _finish(self, step: Step) -> float:
        # A connection for each page: a long sweep must not keep one from those who accept.
        left = True
        while left:
            async with borrow(self._pool) as connection:
                left = await step(connection)
        return _LOOK_EVERY
