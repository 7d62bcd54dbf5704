"""Digests whose time has come become notifications, each one once.

First it is closed: nothing joins any more, and the next opens another. Then its notification is stored, in the
transaction that says so. A crash in between leaves it closed, and whoever looks next makes the notification.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from pydantic import ValidationError

from tidings.domain.digests import data_of
from tidings.domain.templates import TemplateVersion
from tidings.intake.broadcasting import Door
from tidings.intake.drafting import Submission
from tidings.intake.filling import BatchClosedError
from tidings.intake.refusals import Refusal
from tidings.intake.request import SendRequest
from tidings.store import digests, templates
from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow
from tidings.store.digests import Closed, Gathered
from tidings.store.keyring import KeyRing
from tidings.store.rounds import attempt, keep_at

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_AT_ONCE = 20  # whose items are in memory together
_CLOSED_AT_ONCE = 200
_LONGEST_WAIT = 2.0  # seconds: a digest that was opened meanwhile is seen by then


class RefusedAmongOthersError(BatchClosedError):
    """One of several is refused, and its digest is to say so in the transaction that ends it."""


@dataclass(frozen=True, slots=True)
class FromDigests:
    """The notifications that these digests become."""

    digest_ids: Sequence[UUID]

    async def join(
        self, connection: Connection, *, stored: int, refused: Mapping[str, int]
    ) -> None:
        """Raises BatchClosedError, and RefusedAmongOthersError."""
        if refused and len(self.digest_ids) > 1:
            raise RefusedAmongOthersError
        if not await digests.finish(connection, self.digest_ids):
            raise BatchClosedError
        for code in refused:
            await digests.fail(connection, self.digest_ids[0], code)


class Digester:
    """Any number of processes may run it."""

    def __init__(
        self, pool: Pool, keyring: KeyRing, intake: Door, checkpoint: Callable[[str], None]
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._intake = intake
        self._checkpoint = checkpoint

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_at("digests", self._work, asyncio.Event())

    async def _work(self) -> float:
        """Do all there is to do; seconds until it is worth to look again."""
        while await self.step():
            pass
        async with borrow(self._pool) as connection:
            wait = await digests.next_due(connection)
        return _LONGEST_WAIT if wait is None else min(_LONGEST_WAIT, max(0.05, wait))

    async def step(self) -> bool:
        """Close what is due, and make the notifications of some; False when there is nothing to do."""
        async with borrow(self._pool) as connection:
            closed = await digests.close_due(connection, _CLOSED_AT_ONCE)
        self._checkpoint("digest.closed")
        async with borrow(self._pool) as connection:
            held = await digests.hold(connection, _AT_ONCE, self._keyring)
            if not held:
                return bool(closed)
            found = await digests.gathered(connection, [one.id for one in held], self._keyring)
            versions = await templates.versions(
                connection, {(one.template_id, one.template_version) for one in held}
            )
        submissions = await self._submissions(held, found, versions)
        if submissions:
            await self._make(submissions)
        return True

    async def _submissions(
        self,
        held: Sequence[Closed],
        found: Mapping[UUID, Gathered],
        versions: Mapping[tuple[str, int], TemplateVersion],
    ) -> dict[UUID, Submission]:
        """By digest, where there is anything to send."""
        submissions: dict[UUID, Submission] = {}
        for one in held:
            template = versions.get((one.template_id, one.template_version))
            made = _submission(one, found.get(one.id), template)
            if isinstance(made, Submission):
                submissions[one.id] = made
            else:
                await self._fail(one.id, made)
        return submissions

    async def _make(self, submissions: Mapping[UUID, Submission]) -> None:
        self._checkpoint("digest.made")
        try:
            results = await self._intake.accept_many(
                list(submissions.values()), FromDigests(list(submissions))
            )
        except RefusedAmongOthersError:
            await self._one_by_one(submissions)
            return
        except BatchClosedError:
            # Another process made one of them; the others are held for a while, and then made.
            log.info("digest.overtaken")
            return
        except UNAVAILABLE:
            raise
        except Exception:
            if len(submissions) == 1:
                raise
            # Whatever is wrong with one, it would be among the first again, and keep the others back for ever.
            await self._one_by_one(submissions)
            return
        self._checkpoint("digest.stored")
        for digest_id, result in zip(submissions, results, strict=True):
            if isinstance(result, Refusal):
                await self._fail(digest_id, f"{result.code}: {result.detail}")

    async def _one_by_one(self, submissions: Mapping[UUID, Submission]) -> None:
        for one in submissions.items():
            await attempt("digests", partial(self._alone, *one))

    async def _alone(self, digest_id: UUID, submission: Submission) -> float:
        await self._make({digest_id: submission})
        return 0.0

    async def _fail(self, digest_id: UUID, problem: str) -> None:
        log.warning("digest.not_sent", digest_id=str(digest_id))
        async with borrow(self._pool) as connection:
            await digests.fail(connection, digest_id, problem)


def _submission(
    one: Closed, found: Gathered | None, template: TemplateVersion | None
) -> Submission | str:
    """What is sent of it, or why nothing is."""
    if one.request is None:
        return "Its request cannot be read with these keys."
    if found is None:
        return "Nothing is left of it: all was cancelled or has expired."
    if template is None:
        return "The version of the template is gone."
    data = data_of(found.items, found.count)
    try:
        request = SendRequest.model_validate({**one.request, "data": data})
    except ValidationError:
        return "Its request is not valid any more."
    return Submission(
        one.api_key_id,
        one.app,
        request,
        b"",
        pinned=template,
        digest_notification=one.notification_id,
    )
