"""From what was claimed to calls: load, prepare, and store that the calls begin, in one batch each."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

import structlog

from tidings.delivery.accounts import Accounts, OpenAccount
from tidings.delivery.admission import Admission
from tidings.delivery.attaching import Attacher
from tidings.delivery.calling import Ready, give_back
from tidings.delivery.deciding import Decider
from tidings.delivery.limiting import Skip, Wait
from tidings.delivery.preparing import CompiledTemplates
from tidings.delivery.settling import Held, Settlement
from tidings.delivery.subscribers import Subscribers
from tidings.delivery.wishes import Wishes
from tidings.domain.events import CATEGORY
from tidings.queue import postgres as queue
from tidings.queue.postgres import Claimed
from tidings.store import batches as batch_store
from tidings.store import deliveries, link_targets
from tidings.store.batches import BatchStates
from tidings.store.database import Connection, Pool, borrow
from tidings.store.deliveries import Work
from tidings.store.keyring import KeyRing
from tidings.store.link_targets import Targets

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Rendering is CPU work: after so many the event loop gets a turn, so that answers are read in time.
_RENDER_SLICE = 16
_TURNS = 3  # accounts at their limits, after which a delivery waits for the one that it came to


class Starter:
    """hold, drop: told of what the worker holds from now on, and of what it let go."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        accounts: Accounts,
        templates: CompiledTemplates,
        batches: BatchStates,
        wishes: Wishes,
        subscribers: Subscribers,
        decider: Decider,
        admission: Admission,
        attacher: Attacher,
        lease: float,
        conclude: Callable[[Settlement], None],
        hold: Callable[[Held, OpenAccount | None], None],
        drop: Callable[[Held], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._accounts = accounts
        self._templates = templates
        self._batches = batches
        self._wishes = wishes
        self._subscribers = subscribers
        self._decider = decider
        self._admission = admission
        self._attacher = attacher
        self._lease = lease
        self._conclude = conclude
        self._hold = hold
        self._drop = drop

    async def prepare(self, claimed: Sequence[Claimed]) -> list[Ready]:
        """What can be sent; what cannot is concluded. Before an error from the database nothing is held."""
        works = await self._load(claimed)
        for parked in await self._park(claimed, works):
            del works[parked]
        return await self._prepare_all(
            Held(one, self._templates.signed(works[one.delivery_id]))
            for one in claimed
            if one.delivery_id in works
        )

    async def _prepare_all(self, held: Iterable[Held]) -> list[Ready]:
        ready: list[Ready] = []
        try:
            for number, one_held in enumerate(held):
                if (one := self._prepare(one_held)) is not None:
                    ready.append(one)
                if number % _RENDER_SLICE == _RENDER_SLICE - 1:
                    await asyncio.sleep(0)
        except BaseException:
            self._let_go(ready)
            raise
        return await self._with_files(ready)

    async def _with_files(self, ready: list[Ready]) -> list[Ready]:
        """Before they ask the limits, whose permits would run out meanwhile."""
        try:
            attached = await self._attacher.attach(ready)
        except BaseException:
            self._let_go(ready)
            raise
        for one, verdict in attached.left:
            give_back(one)
            self._conclude(verdict)
        return attached.ready

    async def admit(self, ready: Sequence[Ready], turns: int = _TURNS) -> list[Ready]:
        """Those that the rate limits let pass. What a limit of its whole lane refuses goes back to its place in the
        line, and the lane's gate is shut; the others go to another account that has room, up to so many times, wait for
        a time of their own, or are skipped."""
        if not ready or not self._admission.applies:
            return list(ready)
        try:
            result = await self._admission.sort(ready, elsewhere=turns > 0)
        except BaseException:
            self._let_go(ready)
            raise
        for one, grant in result.turned_away:
            self._turn_away(one, grant)
        # Their account is at its limit, and is not chosen where another one can be.
        self._let_go(result.over)
        try:
            await self.give_back(result.laned)
            again = await self._prepare_all(one.held for one in result.over)
            return result.admitted + await self.admit(again, turns - 1)
        except BaseException:
            self._let_go(result.admitted)
            raise

    def _turn_away(self, one: Ready, grant: Wait | Skip) -> None:
        give_back(one)
        try:
            verdict = self._admission.refused(one.held, grant)
        except Exception as error:  # noqa: BLE001 - or it would be held for ever
            verdict = self._decider.after_error(one.held, error)
        self._conclude(verdict)

    async def start(self, ready: Sequence[Ready]) -> list[Ready]:
        """Store that these calls begin; those that are still ours. Nothing of it may be called before."""
        if not ready:
            return []
        try:
            async with borrow(self._pool) as connection:
                await self._store_targets(connection, ready)
                mine = await queue.start(
                    connection,
                    ready[0].held.claim.lease,  # all were claimed together
                    {one.message.delivery_id: one.chosen.account.name for one in ready},
                    self._lease,
                )
        except BaseException:
            # Nothing of it was sent. Let go, or the heartbeat would keep the leases for ever.
            self._let_go(ready)
            raise
        # cancelled meanwhile, or taken over
        self._let_go([one for one in ready if one.message.delivery_id not in mine])
        return [one for one in ready if one.message.delivery_id in mine]

    async def _store_targets(self, connection: Connection, ready: Sequence[Ready]) -> None:
        """Before anybody can follow a link. Most batches have none."""
        targets = [
            Targets(one.message.delivery_id, one.held.claim.lease, one.targets)
            for one in ready
            if one.targets
        ]
        if targets:
            await link_targets.add(connection, targets, self._keyring)

    async def give_back(self, ready: Sequence[Ready]) -> None:
        """Back on the queue at their places, as if they had not been claimed."""
        self._let_go(ready)
        if ready:
            claims = [one.held.claim for one in ready]
            async with borrow(self._pool) as connection:
                await queue.give_back(connection, claims[0].lease, claims)

    def _let_go(self, ready: Sequence[Ready]) -> None:
        for one in ready:
            give_back(one)
            self._drop(one.held)

    async def _load(self, claimed: Sequence[Claimed]) -> dict[UUID, Work]:
        async with borrow(self._pool) as connection:
            works = await deliveries.load(
                connection,
                [(one.notification_id, one.delivery_id) for one in claimed],
                self._keyring,
            )
            if orphans := [one.delivery_id for one in claimed if one.delivery_id not in works]:
                log.error("queue.orphans", entries=len(orphans))  # their partition was dropped
                await queue.remove(connection, claimed[0].lease, orphans)
            await self._batches.refresh(connection)
            await self._wishes.refresh(connection)
            await self._subscribers.refresh(connection)
            await self._templates.load(
                connection,
                (
                    (work.template_id, work.template_version)
                    for work in works.values()
                    if work.category != CATEGORY
                ),
            )
        return works

    async def _park(self, claimed: Sequence[Claimed], works: Mapping[UUID, Work]) -> Sequence[UUID]:
        """Lay aside what belongs to paused batches; which deliveries. A call that was under way is recorded first."""
        paused = [
            (one.delivery_id, batch_id)
            for one in claimed
            if one.started_at is None
            and one.delivery_id in works
            and not self._decider.is_over(one, works[one.delivery_id])
            and (batch_id := works[one.delivery_id].batch_id) is not None
            and self._batches.is_paused(batch_id)
        ]
        if not paused:
            return ()
        async with borrow(self._pool) as connection:
            return await batch_store.park(connection, claimed[0].lease, paused)

    def _prepare(self, held: Held) -> Ready | None:
        """An error with one delivery concerns that one alone: it waits, and fails when its time is over."""
        try:
            verdict = self._decider.decide(held)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the others of its batch are to be sent
            # A panic of a library in Rust is no Exception (PyO3's PanicException).
            verdict = self._decider.after_error(held, error)
        if isinstance(verdict, Settlement):
            self._hold(held, None)
            self._conclude(verdict)
            return None
        self._hold(held, verdict.chosen)
        self._accounts.overflow.choose(verdict.chosen.account.name)
        return verdict
