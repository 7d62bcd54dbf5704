"""All who watch feeds in this process: one reader for all of them, many feeds at a time."""

import asyncio
import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import structlog

from tidings.inbox.events import Closing, changed, entries_of
from tidings.inbox.subscription import Subscription
from tidings.inbox.telling import key_of
from tidings.store import feeds, inbox
from tidings.store.database import UNAVAILABLE, Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.rounds import keep_at

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_READ_AT_ONCE = 200  # feeds
_CHANGES_AT_ONCE = 100  # of each
_CHECKED_AT_ONCE = 1_000
_PAUSE = 0.5  # seconds, when the database cannot be read


class Full(StrEnum):
    """Who has no room for one more."""

    USER = "user"
    PROCESS = "process"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Bounds:
    """connections: of this process; per_user: of one user in this process; buffer: events that wait for one
    connection; poll: seconds between looks whether something was missed."""

    connections: int
    per_user: int
    buffer: int
    poll: float


class Hub:
    """Knows which feeds are watched here, hears which of them changed, reads those and hands out what is new.

    pool: a hot one. It is never read for each connection and event: what changed while one read was under way is
    read together by the next.
    """

    def __init__(self, pool: Pool, keyring: KeyRing, bounds: Bounds) -> None:
        self._pool = pool
        self._keyring = keyring
        self._bounds = bounds
        self._watched: dict[str, list[Subscription]] = {}
        self._by_key: dict[str, str] = {}
        self._connections = 0
        self._stopping = False
        self._changed: dict[str, None] = {}
        self._wanted = asyncio.Event()
        self._check = asyncio.Event()

    def full_for(self, user_id: str) -> Full | None:
        """Why one more cannot watch this feed here; None where there is room."""
        if self._stopping:
            return Full.STOPPING
        if self._connections >= self._bounds.connections:
            return Full.PROCESS
        if len(self._watched.get(user_id, ())) >= self._bounds.per_user:
            return Full.USER
        return None

    @contextlib.contextmanager
    def watching(self, user_id: str, after: int | None) -> Iterator[Subscription]:
        """after: the number of the last change they have; None to begin with what comes from now on."""
        one = Subscription(user_id, after, room=self._bounds.buffer, hungry=self._read_soon)
        self._watched.setdefault(user_id, []).append(one)
        self._by_key[key_of(user_id)] = user_id
        self._connections += 1
        if self._stopping:
            one.end(Closing.SHUTTING_DOWN)
        self._read_soon(user_id)
        try:
            yield one
        finally:
            one.abandon()
            self._connections -= 1
            self._watched[user_id].remove(one)
            if not self._watched[user_id]:
                del self._watched[user_id]
                self._by_key.pop(key_of(user_id), None)

    def heard(self, payload: str) -> None:
        """Whose feeds changed, as a Teller says it; empty when something may have been missed."""
        if not payload:
            self._check.set()
        for key in payload.split():
            if (user_id := self._by_key.get(key)) is not None:
                self._read_soon(user_id)

    def stop(self) -> None:
        """End all streams, and take no more."""
        self._stopping = True
        for user_id in self._watched:
            self._end(user_id, Closing.SHUTTING_DOWN)

    async def run(self) -> None:
        """Read and hand out, until cancelled."""
        while True:
            await self._wanted.wait()
            users = list(self._changed)[:_READ_AT_ONCE]
            for user_id in users:
                del self._changed[user_id]
            if not self._changed:
                self._wanted.clear()
            await self._serve(users)

    async def poll(self) -> None:
        """Find what no message told of, until cancelled."""
        await keep_at("feeds", self._find_missed, self._check)

    def _end(self, user_id: str, why: Closing) -> None:
        for one in self._watched.get(user_id, ()):
            one.end(why)

    def _read_soon(self, user_id: str) -> None:
        self._changed[user_id] = None
        self._wanted.set()

    async def _serve(self, users: Sequence[str]) -> None:
        """What one feed fails by keeps none of the others from moving."""
        try:
            await self._hand_out(users)
        except UNAVAILABLE as error:
            log.warning("database.unavailable", doing="feeds", error=type(error).__name__)
            await asyncio.sleep(_PAUSE)
            for user_id in users:
                self._read_soon(user_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are served
            if len(users) > 1:
                for user_id in users:
                    await self._serve([user_id])
                return
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("feed.failed", error=type(error).__name__, frames=frames)  # noqa: TRY400 - the text may show data
            self._end(users[0], Closing.FAILED)

    async def _hand_out(self, users: Sequence[str]) -> None:
        # Those who come while it is being read are not given what was read for others.
        reading_by = {user_id: self._reading(user_id) for user_id in users}
        wanted = {user: min(reading.values()) for user, reading in reading_by.items() if reading}
        if not wanted:
            return
        found, entries = await self._read(wanted)
        for user_id in wanted:
            reading = reading_by[user_id]
            feed = found.get(user_id, feeds.NOBODYS)
            events = [changed(change, entries) for change in feed.changes]
            for one in reading:
                one.take(feed, events)
            if any(one.behind for one in reading):
                self._read_soon(user_id)

    def _reading(self, user_id: str) -> Mapping[Subscription, int]:
        """Those who can take something, with the number after which to read for them."""
        return {
            one: after
            for one in self._watched.get(user_id, ())
            if (after := one.reads_after) is not None
        }

    async def _read(
        self, after: Mapping[str, int]
    ) -> tuple[Mapping[str, feeds.Feed], Mapping[UUID, inbox.Entry]]:
        async with borrow(self._pool) as connection:
            found = await feeds.read(connection, after, limit=_CHANGES_AT_ONCE)
            shown = [one for feed in found.values() for one in entries_of(feed)]
            entries = await inbox.fetch(connection, shown, self._keyring) if shown else {}
        return found, entries

    async def _find_missed(self) -> float:
        """Seconds until it is worth to look again."""
        known = {
            user_id: min(numbers)
            for user_id, watching in self._watched.items()
            if (numbers := [at for one in watching if (at := one.live_at) is not None])
        }
        users = list(known)
        for start in range(0, len(users), _CHECKED_AT_ONCE):
            some = {user_id: known[user_id] for user_id in users[start : start + _CHECKED_AT_ONCE]}
            async with borrow(self._pool) as connection:
                for user_id in await feeds.behind(connection, some):
                    self._read_soon(user_id)
        return self._bounds.poll
