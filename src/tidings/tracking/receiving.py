"""Callbacks at the door: verified on their raw bytes, stored, and answered only then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from tidings.domain.callbacks import Callbacks, Once, RawCallback, Refused, Verified
from tidings.metrics import Metrics
from tidings.providers.http import Answer, Http, Request
from tidings.store import callback_proofs
from tidings.store import callbacks as store
from tidings.store.callback_proofs import Use
from tidings.store.database import Connection, Pool, borrow
from tidings.store.group_commit import GroupCommit
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FOLLOW_SECONDS = 10.0
_AT_ONCE = 200

_MISUSED = Refused("its proof was used before, for another callback")

_Item = tuple[str, RawCallback, Once | None]


@dataclass(frozen=True, slots=True)
class Source:
    """An account whose vendor calls back."""

    account: str
    provider: str
    callbacks: Callbacks


class CannotFollowError(Exception):
    """The vendor asked to confirm a subscription, and could not be reached for it: it will ask again."""


class Receiver:
    """http: reaches vendors. wake: tells the reader that there is something to read."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        sources: Sequence[Source],
        http: Http,
        metrics: Metrics,
        new_id: Callable[[], UUID],
        wake: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._sources: Mapping[str, Source] = {one.account: one for one in sources}
        self._http = http
        self._metrics = metrics
        self._new_id = new_id
        self._wake = wake
        self._commits = GroupCommit(self._write, largest=_AT_ONCE)

    def source(self, provider: str, account: str | None) -> Source | None:
        """The account of this provider; without its name, the only one that the provider has."""
        found = [
            one
            for one in self._sources.values()
            if one.provider == provider and account in {None, one.account}
        ]
        return found[0] if len(found) == 1 else None

    async def receive(self, source: Source, raw: RawCallback) -> Verified | Refused:
        """Stored once this returns Verified, unless it only asks for a confirmation, which is given. Raises
        CannotFollowError."""
        verdict = await source.callbacks.verify(raw)
        if isinstance(verdict, Verified) and verdict.follow is None:
            used = await self._commits.submit((source.account, raw, verdict.once))
            verdict = _MISUSED if used is Use.MISUSED else verdict
        outcome = "refused" if isinstance(verdict, Refused) else "accepted"
        self._metrics.callbacks.labels(source.account, outcome).inc()
        if isinstance(verdict, Refused):
            log.warning("callback.refused", account=source.account, why=verdict.detail)
        elif verdict.follow is not None:
            await self._follow(source, verdict.follow)
        return verdict

    async def _follow(self, source: Source, url: str) -> None:
        answer = await self._http.send(Request("GET", url, {}, b"", _FOLLOW_SECONDS))
        if not isinstance(answer, Answer) or not 200 <= answer.status < 300:
            raise CannotFollowError
        log.info("callback.subscription_confirmed", account=source.account)

    async def _write(self, batch: Sequence[_Item]) -> Sequence[Use]:
        """What each one's proof was used for; of one that was used before nothing is stored."""
        proofs = [(account, once) for account, _, once in batch if once is not None]
        async with borrow(self._pool) as connection:
            if not proofs:
                uses = [Use.FIRST] * len(batch)
                await self._store(connection, batch)
            else:
                async with connection.transaction():
                    used = iter(await callback_proofs.use(connection, proofs))
                    uses = [Use.FIRST if once is None else next(used) for _, _, once in batch]
                    fresh = [one for one, use in zip(batch, uses, strict=True) if use is Use.FIRST]
                    await self._store(connection, fresh)
        self._wake()
        return uses

    async def _store(self, connection: Connection, batch: Sequence[_Item]) -> None:
        fresh = [(self._new_id(), account, raw) for account, raw, _ in batch]
        await store.add(connection, fresh, self._keyring)
