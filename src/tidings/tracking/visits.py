"""Requests for links and pixels at the door: where they lead, and stored to be judged."""

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from uuid import UUID

from tidings.domain.records import record
from tidings.domain.tracking import PIXEL, Hit
from tidings.store import hits, link_targets
from tidings.store.database import Pool, borrow
from tidings.store.group_commit import GroupCommit
from tidings.store.hits import NewHit
from tidings.store.keyring import KeyRing
from tidings.store.tracking_tokens import TrackingToken, read_token

_AT_ONCE = 500


@record
class Visit:
    token: TrackingToken
    hit: Hit = field(repr=False)


class Visits:
    """lifetime: seconds for which links lead on. wake: tells the judge that there is something to judge."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        lifetime: float,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        wake: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._lifetime = timedelta(seconds=lifetime)
        self._now = now
        self._new_id = new_id
        self._wake = wake
        self._commits = GroupCommit(self._write, largest=_AT_ONCE)

    async def clicked(self, token: str, *, head: bool, prefetch: bool, agent: str) -> str | None:
        """Where the link leads; None for a token that is not ours, or not good any more, which changes nothing."""
        return await self._visit(token, head=head, prefetch=prefetch, agent=agent, pixel=False)

    async def opened(self, token: str, *, head: bool, prefetch: bool, agent: str) -> bool:
        """Whether the token is good; otherwise nothing is changed."""
        found = await self._visit(token, head=head, prefetch=prefetch, agent=agent, pixel=True)
        return found is not None

    async def _visit(
        self, token: str, *, head: bool, prefetch: bool, agent: str, pixel: bool
    ) -> str | None:
        read = read_token(token, self._keyring)
        if read is None or (read.link == PIXEL) is not pixel:
            return None
        hit = Hit(read.link, self._now(), head=head, prefetch=prefetch, agent=agent)
        return await self._commits.submit(Visit(read, hit))

    async def _write(self, batch: Sequence[Visit]) -> Sequence[str | None]:
        """Where each leads: "" for a pixel, None for what leads nowhere."""
        oldest = self._now() - self._lifetime
        async with borrow(self._pool) as connection:
            known = await hits.visited(connection, list({one.token.delivery_id for one in batch}))
            good = {
                one.delivery_id: one
                for one in known.values()
                if one.sent_at is None or one.sent_at > oldest
            }
            tokens = [one.token for one in batch if one.token.link != PIXEL]
            targets = await link_targets.find(connection, tokens, self._keyring) if tokens else {}
            leads = [
                None
                if one.token.delivery_id not in good
                else ""
                if one.token.link == PIXEL
                else targets.get(one.token)
                for one in batch
            ]
            fresh = _together(
                [
                    one
                    for one, target in zip(batch, leads, strict=True)
                    if target is not None and not good[one.token.delivery_id].refused
                ]
            )
            if fresh:
                await hits.add(
                    connection,
                    [NewHit(self._new_id(), token.delivery_id, hit) for token, hit in fresh],
                )
                self._wake()
        return leads


def _together(visits: Sequence[Visit]) -> list[tuple[TrackingToken, Hit]]:
    """The same request many times at one moment is one row: hammering at a link fills no disk."""
    found: dict[tuple[object, ...], tuple[TrackingToken, Hit]] = {}
    for one in visits:
        hit = one.hit
        key = (one.token, hit.head, hit.prefetch, hit.agent)
        _, before = found.get(key, (one.token, None))
        times = 1 if before is None else before.times + 1
        at = hit.at if before is None else before.at
        found[key] = (one.token, Hit(hit.link, at, times, hit.head, hit.prefetch, hit.agent))
    return list(found.values())
