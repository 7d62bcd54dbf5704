"""Broadcasts: an audience becomes notifications, a page of users at a time.

Where a broadcast has come to is written in the transaction that stores the page. So it goes on after a crash in
whichever process looks next, and nobody is left out or reached twice.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from pydantic import ValidationError

from tidings.domain.filters import WrongFilterError, read
from tidings.domain.templates import TemplateVersion
from tidings.intake.drafting import Result, Submission
from tidings.intake.filling import BatchClosedError, Filling
from tidings.intake.request import Recipient, SendRequest
from tidings.store import attributes, audiences, broadcasts, segments, templates, topics
from tidings.store.audiences import FEW, Audience
from tidings.store.broadcasts import Held
from tidings.store.database import Connection, Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.rounds import keep_at

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Deliveries share the process: a page is drafted in some tens of milliseconds.
_PAGE = 250
_LONGEST_WAIT = 30.0  # seconds: what no notice came of is seen by then


class Door(Protocol):
    @property
    def largest_batch(self) -> int: ...

    async def accept_many(
        self, submissions: Sequence[Submission], filling: Filling | None = None
    ) -> list[Result]: ...


class CannotGoOnError(Exception):
    """The broadcast ends here; the text is for people, and says nothing of its content."""


@dataclass(frozen=True, slots=True)
class IntoBroadcast:
    """A page of a broadcast: the users behind `before`, up to `after`."""

    broadcast_id: UUID
    before: str
    after: str
    users: int

    async def join(
        self, connection: Connection, *, stored: int, refused: Mapping[str, int]
    ) -> None:
        """Raises BatchClosedError."""
        if not await broadcasts.proceed(
            connection,
            self.broadcast_id,
            before=self.before,
            after=self.after,
            users=self.users,
            refused=refused,
        ):
            raise BatchClosedError


class Broadcaster:
    """Any number of processes may run it. changed: set when there may be something to do."""

    def __init__(
        self,
        pool: Pool,
        keyring: KeyRing,
        intake: Door,
        now: Callable[[], datetime],
        changed: asyncio.Event,
        checkpoint: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._intake = intake
        self._now = now
        self._changed = changed
        self._checkpoint = checkpoint

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("broadcast", self._work, self._changed)

    async def _work(self) -> float:
        """Do all there is to do; seconds until it is worth to look again."""
        while await self.step():
            pass
        async with borrow(self._pool) as connection:
            wait = await broadcasts.next_due(connection)
        return _LONGEST_WAIT if wait is None else min(_LONGEST_WAIT, max(0.05, wait))

    async def step(self) -> bool:
        """Begin one, or do one page of one; False when there is none that nobody works on."""
        async with borrow(self._pool) as connection:
            held = await broadcasts.hold(connection, self._keyring)
        if held is None:
            return False
        try:
            done = await (self._begin(held) if held.audience_at is None else self._page(held))
        except CannotGoOnError as error:
            log.warning("broadcast.ended", broadcast_id=str(held.id), problem=str(error))
            await self._finish(held, str(error))
        except BatchClosedError:
            # Cancelled, or another process did the page: whoever holds it next sees which.
            log.info("broadcast.overtaken", broadcast_id=str(held.id))
        else:
            if done:
                await self._finish(held, None)
        return True

    async def _begin(self, held: Held) -> bool:
        """What is to be the same for all of them is fixed; whether that was all."""
        _check(held)
        now = self._now()
        async with borrow(self._pool) as connection:
            template = await templates.current(connection, held.template_id)
            if template is None:
                raise CannotGoOnError("The template is not there any more.")
            filters = await _filters(connection, held)
            audience = await _audience(connection, held, filters, now)
            expected = await audiences.count(connection, audience)
            await broadcasts.begin(
                connection,
                held.id,
                at=now,
                template_version=template.version,
                filters=filters,
                expected=expected,
            )
        log.info("broadcast.begun", broadcast_id=str(held.id), expected=expected)
        return expected == 0

    async def _page(self, held: Held) -> bool:
        """Whether it was the last."""
        _check(held)
        assert held.audience_at is not None
        size = min(_PAGE, self._intake.largest_batch)
        async with borrow(self._pool) as connection:
            template = await _pinned(connection, held)
            audience = await _audience(connection, held, held.filters, held.audience_at)
            users = await audiences.page(
                connection,
                audience,
                after=held.after,
                limit=size,
                few=held.expected is not None and held.expected <= FEW,
            )
        if not users:
            return True
        self._checkpoint("broadcast.page")
        await self._intake.accept_many(
            _submissions(held, template, users),
            IntoBroadcast(held.id, held.after, users[-1], len(users)),
        )
        self._checkpoint("broadcast.stored")
        return len(users) < size

    async def _finish(self, held: Held, problem: str | None) -> None:
        async with borrow(self._pool) as connection:
            await broadcasts.finish(connection, held.id, problem)


async def rehearsed(
    pool: Pool, held: Held, template: TemplateVersion, now: datetime
) -> AsyncIterator[list[Submission]]:
    """Page by page what a broadcast that is not stored would send, to its audience as it is now. Raises
    CannotGoOnError."""
    async with borrow(pool) as connection:
        audience = await _audience(connection, held, await _filters(connection, held), now)
        few = await audiences.count(connection, audience) <= FEW
    after = ""
    while True:
        async with borrow(pool) as connection:
            users = await audiences.page(connection, audience, after=after, limit=_PAGE, few=few)
        if users:
            yield _submissions(held, template, users)
            after = users[-1]
        if len(users) < _PAGE:
            return


def _check(held: Held) -> None:
    if held.state == "cancelled":
        raise CannotGoOnError("It was cancelled.")
    if held.closed:
        raise CannotGoOnError("Its batch was sealed.")
    if held.revoked:
        raise CannotGoOnError("Its API key was revoked.")
    if held.request is None:
        raise CannotGoOnError("Its request cannot be read with these keys.")


async def _filters(connection: Connection, held: Held) -> list[Any]:
    """Of its segments, as they are now."""
    wanted = held.audience.get("segments", [])
    found = await segments.find_many(connection, wanted)
    if missing := sorted(set(wanted) - found.keys()):
        raise CannotGoOnError(f"The segment {missing[0]} is not there any more.")
    if missing := sorted(await topics.missing(connection, held.audience.get("topics", []))):
        raise CannotGoOnError(f"The topic {missing[0]} is not there any more.")
    return [found[segment_id].filter for segment_id in wanted]


async def _audience(
    connection: Connection, held: Held, filters: Sequence[Any], now: datetime
) -> Audience:
    declared = await attributes.types(connection) if filters else {}
    try:
        return Audience(
            now,
            everyone=held.audience.get("everyone", False),
            topics=held.audience.get("topics", []),
            filters=[read(one, declared) for one in filters],
        )
    except WrongFilterError:
        problem = "A segment chooses by an attribute that is not declared so any more."
        raise CannotGoOnError(problem) from None


async def _pinned(connection: Connection, held: Held) -> TemplateVersion:
    assert held.template_version is not None
    wanted = (held.template_id, held.template_version)
    found = await templates.versions(connection, [wanted])
    return found[wanted]


def _submissions(held: Held, template: TemplateVersion, users: Sequence[str]) -> list[Submission]:
    assert held.request is not None
    try:
        request = SendRequest.model_validate({**held.request, "recipient": {}})
    except ValidationError:
        raise CannotGoOnError("Its request is not valid any more.") from None
    return [
        Submission(
            held.api_key_id,
            held.app,
            request.model_copy(update={"recipient": Recipient(user_id=user_id)}),
            b"",
            held.id,
            template,
        )
        for user_id in users
    ]
