"""Connections kept between messages: the one used last is used next, the others age and are closed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from tidings.providers.smtp.session import Session

_GOODBYE = 1.0
"""Seconds that connections get to close in peace."""


class Connections:
    """Sessions, each used by one message at a time; one unused for `idle` seconds is closed.

    `limit` of them in use: who acquired may take one, and gives it back before releasing. free: how
    many may still be taken.
    """

    def __init__(
        self, open_session: Callable[[], Awaitable[Session]], *, limit: int, idle: float
    ) -> None:
        self._slots = asyncio.Semaphore(limit)
        self.free = limit
        self._open = open_session
        self._idle_time = idle
        self._idle: deque[Session] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self) -> None:
        """Wait for leave to take a session; release() gives it up."""
        await self._slots.acquire()
        self.free -= 1

    def release(self) -> None:
        self.free += 1
        self._slots.release()

    async def take(self) -> Session:
        """A kept session, else a new one. Raises what opening raises."""
        while self._idle:
            session = self._idle.pop()
            if session.reusable:
                return session
            session.abort()
        return await self._open()

    async def replace(self, dead: Session) -> Session:
        """A new session instead of one found dead. Raises what opening raises."""
        dead.abort()
        return await self._open()

    def give_back(self, session: Session) -> None:
        """Keep the session where it can be used again, else close it."""
        if not session.reusable:
            session.abort()
        elif self._closed or self._idle_time <= 0:
            session.quit()
        else:
            session.kept_since = asyncio.get_running_loop().time()
            self._idle.append(session)
            self._wake_reaper()

    async def close(self) -> None:
        """Say goodbye on the kept sessions; those in use are closed when they are given back."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        sessions, self._idle = self._idle, deque()
        for session in sessions:
            session.quit()
        if sessions:
            await asyncio.wait([session.closed for session in sessions], timeout=_GOODBYE)
        for session in sessions:
            session.abort()

    def _wake_reaper(self) -> None:
        if self._reaper is None:
            due = self._idle[0].kept_since + self._idle_time
            self._reaper = asyncio.get_running_loop().call_at(due, self._reap)

    def _reap(self) -> None:
        self._reaper = None
        oldest_allowed = asyncio.get_running_loop().time() - self._idle_time
        while self._idle and self._idle[0].kept_since <= oldest_allowed:
            self._idle.popleft().quit()
        if self._idle:
            self._wake_reaper()
