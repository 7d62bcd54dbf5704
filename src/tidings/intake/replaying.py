"""Replay: what failed for good is sent once more, as a new notification over the same channel to the same address."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog

from tidings.domain.categories import Categories, category_of
from tidings.domain.dead_letters import LetterState, Obstacle
from tidings.domain.events import CATEGORY
from tidings.domain.reasons import Reason
from tidings.domain.templates import TemplateVersion
from tidings.intake.drafting import Reach
from tidings.intake.redrafting import Case, Redraft, redraft
from tidings.metrics import Metrics
from tidings.store import acceptance, attachments, dead_letters, events, origins, people, templates
from tidings.store.attachments import NewFile
from tidings.store.categories import CategoryCache
from tidings.store.database import Connection, Pool, borrow
from tidings.store.dead_letters import DeadLetter, Filter
from tidings.store.keyring import KeyRing
from tidings.store.origins import Origin
from tidings.store.people import NOBODY, Person

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_AT_ONCE = 200  # letters in one transaction, which are locked meanwhile

Edition = Literal["pinned", "current"]
"""The version of the template that a replay is made with: that of its origin, or the current one."""


@dataclass(frozen=True, slots=True)
class How:
    """despite: obstacles that are not to keep a letter from being replayed."""

    edition: Edition = "pinned"
    despite: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """A letter, and the notification that was made of it, or why none was."""

    letter: DeadLetter
    result: UUID | Obstacle | Reason

    @property
    def made(self) -> UUID | None:
        return self.result if isinstance(self.result, UUID) else None


@dataclass(slots=True)
class Progress:
    """cursor: where to go on; None when all that match were looked at."""

    replayed: int = 0
    skipped: Counter[Obstacle | Reason] = field(default_factory=Counter)
    cursor: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """editions: the current version of each template, where those are to be used."""

    origins: Mapping[UUID, Origin | None]
    persons: Mapping[str, Person]
    categories: Categories
    editions: Mapping[str, TemplateVersion | None] | None


class Replayer:
    """Makes new notifications of dead letters. A letter is locked while that is done, and says so afterwards, so
    that of any number who replay it at the same time, one does."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        categories: CategoryCache,
        reach: Reach,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
        wake: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._categories = categories
        self._reach = reach
        self._new_id = new_id
        self._now = now
        self._wake = wake
        self._metrics = metrics

    async def replay(self, delivery_id: UUID, how: How) -> Replay | None:
        """None where this delivery has no letter."""
        async with borrow(self._pool) as connection, connection.transaction():
            letters = await dead_letters.hold(connection, [delivery_id])
            done = await self._replay(connection, letters, how)
        self._report(done)
        return done[0] if done else None

    async def replay_matching(
        self, wanted: Filter, how: How, *, before: UUID | None, limit: int
    ) -> Progress:
        """Up to `limit` letters, what failed last first, below the id `before`. In short transactions: where it
        breaks off, those before are done, and the same again goes on."""
        wanted = replace(wanted, states=wanted.states or _states(how))
        progress = Progress(cursor=before)
        while limit > 0:
            page = min(limit, _AT_ONCE)
            async with borrow(self._pool) as connection, connection.transaction():
                letters = await dead_letters.take(
                    connection, wanted, before=progress.cursor, limit=page
                )
                done = await self._replay(connection, letters, how)
            self._report(done)
            results = [one.result for one in done]
            progress.skipped.update(one for one in results if not isinstance(one, UUID))
            progress.replayed += sum(1 for one in results if isinstance(one, UUID))
            progress.cursor = letters[-1].id if len(letters) == page else None
            if progress.cursor is None:
                break
            limit -= page
        return progress

    async def _replay(
        self, connection: Connection, letters: Sequence[DeadLetter], how: How
    ) -> list[Replay]:
        """Letters that are locked."""
        known = await self._read(connection, letters, how)
        done, drafts = list[Replay](), list[Redraft]()
        fallbacks = set[UUID]()
        # In the order of the channels: of a fallback whose channels all failed, the first is replayed.
        for letter in sorted(letters, key=lambda one: one.delivery_id):
            again = letter.notification_id in fallbacks
            result = self._redraft(letter, known, how, again=again)
            if isinstance(result, Redraft):
                drafts.append(result)
                done.append(Replay(letter, result.row.id))
                if result.of_fallback:
                    fallbacks.add(letter.notification_id)
            else:
                done.append(Replay(letter, result))
        if drafts:
            rows, deliveries = [one.row for one in drafts], [one.delivery for one in drafts]
            await acceptance.store(connection, rows, deliveries, self._keyring)
            await _pin_events(connection, drafts)
            await self._copy_files(connection, drafts, done)
            made = {one.letter.id: one.made for one in done if one.made}
            await dead_letters.replayed(connection, made)
        return done

    async def _copy_files(
        self, connection: Connection, drafts: Sequence[Redraft], done: Sequence[Replay]
    ) -> None:
        """A replay takes along what its origin did; what the ring does not open is found missing when it is sent."""
        carrying = {
            one.row.id for one in drafts if "attachments" in one.row.payload.get("email", {})
        }
        for one in done:
            # One by one: together they could be more than there is memory for.
            if one.made in carrying:
                origin = one.letter.notification_id
                files = (await attachments.of(connection, [origin], self._keyring)).get(origin)
                copies = [
                    NewFile(one.made, number, content) for number, content in enumerate(files or ())
                ]
                await attachments.add(connection, copies, self._keyring)

    def _redraft(
        self, letter: DeadLetter, known: _Known, how: How, *, again: bool
    ) -> Redraft | Obstacle | Reason:
        case = _case(letter, known, how, again=again)
        if isinstance(case, Obstacle):
            return case
        return redraft(case, reach=self._reach, now=self._now(), new_id=self._new_id)

    async def _read(
        self, connection: Connection, letters: Sequence[DeadLetter], how: How
    ) -> _Known:
        found = await origins.fetch(connection, letters, self._keyring) if letters else {}
        named = {one.notification.user_id for one in found.values() if one}
        user_ids = sorted(user_id for user_id in named if user_id)
        return _Known(
            origins=found,
            persons=await people.fetch_many(connection, user_ids, self._keyring)
            if user_ids
            else {},
            categories=await self._categories.load(connection),
            editions={
                template_id: await templates.current(connection, template_id)
                for template_id in {letter.template_id for letter in letters}
            }
            if how.edition == "current"
            else None,
        )

    def _report(self, done: Sequence[Replay]) -> None:
        """After the commit."""
        made = [one for one in done if one.made]
        if made:
            self._wake()
        for one in made:
            self._metrics.replays.labels(one.letter.channel).inc()
            log.info(
                "notification.replayed",
                notification_id=str(one.made),
                replay_of=str(one.letter.delivery_id),
            )


async def _pin_events(connection: Connection, drafts: Sequence[Redraft]) -> None:
    """An event is for the subscription that its origin was for."""
    accounts = {
        one.delivery.id: one.row.correlation_id or ""
        for one in drafts
        if one.row.category == CATEGORY
    }
    if accounts:
        await events.pin(connection, accounts)


def _states(how: How) -> list[LetterState]:
    """Letters in a state that would keep all of them from being replayed need not be looked at."""
    states = [LetterState.WAITING]
    if Obstacle.ALREADY_REPLAYED in how.despite:
        states.append(LetterState.REPLAYED)
    if Obstacle.DISCARDED in how.despite:
        states.append(LetterState.DISCARDED)
    return states


def _case(letter: DeadLetter, known: _Known, how: How, *, again: bool) -> Case | Obstacle:
    if letter.delivery_id not in known.origins:
        return Obstacle.FORGOTTEN
    if (origin := known.origins[letter.delivery_id]) is None:
        return Obstacle.UNREADABLE
    template = known.editions[letter.template_id] if known.editions is not None else None
    if known.editions is not None and template is None:
        return Obstacle.UNKNOWN_TEMPLATE
    category_id = template.category if template else origin.notification.category
    return Case(
        letter=letter,
        origin=origin,
        template=template,
        category=category_of(known.categories, category_id),
        person=known.persons.get(origin.notification.user_id or "", NOBODY),
        again=again,
        despite=how.despite,
    )
