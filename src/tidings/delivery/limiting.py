"""Rate limits between preparing and calling: which hold for a delivery, and whether it may go on."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tidings.delivery.accounts import OpenAccount
from tidings.delivery.settling import Held
from tidings.domain.channels import Channel
from tidings.domain.events import CATEGORY
from tidings.domain.limits import (
    SECOND,
    Ask,
    Demand,
    Facts,
    Granted,
    Limit,
    Scope,
    Verdict,
    holds_for,
    key_of,
)
from tidings.domain.priorities import Priority
from tidings.domain.provider import Account
from tidings.store import limits as store
from tidings.store.categories import CategoryCache
from tidings.store.database import Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.limits import Taken, Unused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WAITED = timedelta(seconds=1)  # more than clocks differ
_LANED = frozenset({Scope.GLOBAL, Scope.ACCOUNT, Scope.CHANNEL, Scope.API_KEY})


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to begin one call until use_by, on the worker's clock. takes: what it has cost."""

    use_by: float
    takes: tuple[Unused, ...]
    limits: "Limits" = field(repr=False)

    def is_late(self) -> bool:
        return self.limits.clock() > self.use_by

    def give_back(self) -> None:
        """It was not used, nor will be."""
        self.limits.release(self.takes)


@dataclass(frozen=True, slots=True)
class Wait:
    """until: on the database's clock; at: the same on the worker's. lane: so do all of its lane. elsewhere: over
    another account it need not."""

    until: datetime
    at: float
    lane: bool
    limit: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    limit: str


def patience_of(account: Account, limits: Iterable[Limit]) -> float | None:
    """Seconds for which a delivery over this account may wait for its turn; None where no limit can hold for it."""
    holds = [
        one.rate.hold / SECOND
        for one in limits
        if one.account in {None, account.name} and one.channel in {None, *account.channels}
    ]
    return min(holds, default=None)


Grant = Permit | Wait | Skip | None
"""None: no limit holds for it."""


class Limits:
    """categories: whose caps are limits, too. clock: monotonic seconds, by which permits run out; the same in
    all that a permit passes through."""

    def __init__(
        self,
        pool: Pool,
        keyring: KeyRing,
        limits: Sequence[Limit],
        accounts: Iterable[OpenAccount],
        clock: Callable[[], float],
        categories: CategoryCache,
    ) -> None:
        self.clock = clock
        self._pool = pool
        self._keyring = keyring
        self._limits = limits
        self._serving = Counter(channel for one in accounts for channel in one.account.channels)
        self._scopes = {one.scope for one in limits}
        self._names_matter = any(one.api_key is not None for one in limits)
        self._names: dict[int, str] = {}
        self._unused: list[Unused] = []
        self._categories = categories

    @property
    def applies(self) -> bool:
        """Whether there are any limits at all."""
        return bool(self._limits) or self._categories.capped

    async def take(
        self, wanted: Sequence[tuple[Held, str]], elsewhere: Collection[UUID] = ()
    ) -> list[Grant]:
        """What becomes of each, in their order; those for which no limit holds cost nothing. wanted: a delivery, and
        the account that is to send it. elsewhere: deliveries that another one could send."""
        if not self.applies:
            return [None] * len(wanted)
        if self._names_matter:
            await self._learn_names({held.claim.lane.app for held, _ in wanted})
        asks = [
            self._ask(held, account, elsewhere=held.claim.delivery_id in elsewhere)
            for held, account in wanted
        ]
        limited = [ask for ask in asks if ask.demands]
        if not limited:
            return [None] * len(wanted)
        taken = await self._take(limited)
        grants = iter(
            [
                self._grant(ask, verdict, taken)
                for ask, verdict in zip(limited, taken.verdicts, strict=True)
            ]
        )
        return [next(grants) if ask.demands else None for ask in asks]

    def release(self, unused: Collection[Unused]) -> None:
        """Put back with the next that are taken."""
        self._unused += unused

    async def close(self) -> None:
        """Put back what was not used."""
        if self._unused:
            unused, self._unused = self._unused, []
            async with borrow(self._pool) as connection:
                await store.give_back(connection, unused)

    async def _take(self, asks: Sequence[Ask]) -> Taken:
        # What is lost with an error here stays counted, which is never too little.
        unused, self._unused = self._unused, []
        async with borrow(self._pool) as connection:
            return await store.take(connection, asks, clock=self.clock, unused=unused)

    async def _learn_names(self, apps: Collection[int]) -> None:
        if unknown := set(apps) - self._names.keys():
            async with borrow(self._pool) as connection:
                self._names |= await store.key_names(connection, unknown)

    def _ask(self, held: Held, account: str, *, elsewhere: bool) -> Ask:
        if held.work.category == CATEGORY:  # the limits are of what people get
            return Ask([], waited=False, elsewhere=False)
        facts = self._facts(held, account)
        demands = [
            Demand(limit, key, self._is_laned(limit, held.work.channel))
            for limit in self._limits
            if holds_for(limit, facts) and (key := key_of(limit, facts)) is not None
        ]
        if (cap := self._cap(held)) is not None:
            subject = self._recipient(held.work.channel, held.work.address)
            demands.append(Demand(cap, f"{cap.name}:{subject}"))
        waited = held.claim.round_at is not None or held.claim.due_at > held.tries_from + _WAITED
        return Ask(demands, waited=waited, elsewhere=elsewhere)

    def _cap(self, held: Held) -> Limit | None:
        """A notification counts once, when it is first tried; what is critical is not counted."""
        if held.claim.attempts or held.claim.priority is Priority.CRITICAL:
            return None
        category = self._categories.known.get(held.work.category)
        return category.limit if category else None

    def _facts(self, held: Held, account: str) -> Facts:
        work, app = held.work, held.claim.lane.app
        by_recipient, by_user = Scope.RECIPIENT in self._scopes, Scope.USER in self._scopes
        return Facts(
            account=account,
            channel=work.channel,
            category=work.category,
            template=work.template_id,
            recipient=self._recipient(work.channel, work.address) if by_recipient else "",
            user=self._user(work.user_id) if by_user and work.user_id is not None else None,
            api_key=str(app),
            application=self._names.get(app, ""),
        )

    def _recipient(self, channel: Channel, address: str) -> str:
        return self._keyring.address_hash(channel, address).hex()

    def _user(self, user_id: str) -> str:
        text = f"user:{user_id}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._keyring.keys.hash_key, digest_size=16).hexdigest()

    def _is_laned(self, limit: Limit, channel: Channel) -> bool:
        """Whether what one delivery is told, all of its lane would be: they share channel and application."""
        if limit.category is not None or limit.template is not None or limit.scope not in _LANED:
            return False
        by_account = limit.scope is Scope.ACCOUNT or limit.account is not None
        return not by_account or self._serving[channel] == 1

    def _grant(self, ask: Ask, verdict: Verdict, taken: Taken) -> Permit | Wait | Skip:
        if isinstance(verdict, Granted):
            hold = min(one.limit.rate.hold for one in ask.demands)
            slices = zip(ask.demands, verdict.slices, strict=True)
            takes = tuple(Unused(one.key, end) for one, end in slices)
            return Permit(taken.read_at + hold / SECOND, takes, self)
        if verdict.until is None:
            return Skip(verdict.limit)
        return Wait(
            until=_EPOCH + timedelta(microseconds=verdict.until),
            at=taken.read_at + (verdict.until - taken.now) / SECOND,
            lane=verdict.lane,
            limit=verdict.limit,
            elsewhere=verdict.elsewhere,
        )
