"""Callbacks at the door: verified on their raw bytes, stored, and answered only then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from tidings.domain.callbacks import Callbacks, RawCallback, Refused, Verified
from tidings.metrics import Metrics
from tidings.providers.http import Answer, Http, Request
from tidings.store import callbacks as store
from tidings.store.database import Pool, borrow
from tidings.store.group_commit import GroupCommit
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FOLLOW_SECONDS = 10.0
_AT_ONCE = 200


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
        outcome = "refused" if isinstance(verdict, Refused) else "accepted"
        self._metrics.callbacks.labels(source.account, outcome).inc()
        if isinstance(verdict, Refused):
            log.warning("callback.refused", account=source.account, why=verdict.detail)
        elif verdict.follow is not None:
            await self._follow(source, verdict.follow)
        else:
            await self._commits.submit((source.account, raw))
        return verdict

    async def _follow(self, source: Source, url: str) -> None:
        answer = await self._http.send(Request("GET", url, {}, b"", _FOLLOW_SECONDS))
        if not isinstance(answer, Answer) or not 200 <= answer.status < 300:
            raise CannotFollowError
        log.info("callback.subscription_confirmed", account=source.account)

    async def _write(self, batch: Sequence[tuple[str, RawCallback]]) -> Sequence[None]:
        fresh = [(self._new_id(), account, raw) for account, raw in batch]
        async with borrow(self._pool) as connection:
            await store.add(connection, fresh, self._keyring)
        self._wake()
        return [None] * len(batch)
