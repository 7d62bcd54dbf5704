"""What an email takes along: read when it is sent, and never more at a time than there is memory for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import structlog

from tidings.delivery.calling import Ready
from tidings.delivery.settling import Held, Settlement
from tidings.delivery.verdicts import Verdicts
from tidings.domain.channels import Channel
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.reasons import Reason
from tidings.queue.postgres import Hold
from tidings.store import attachments
from tidings.store.database import Pool, borrow
from tidings.store.deliveries import Work
from tidings.store.keyring import KeyRing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_NONE: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Attached:
    """ready: to be called; those that take nothing along are as they were. left: those that are not, and why."""

    ready: list[Ready]
    left: list[tuple[Ready, Settlement]] = field(default_factory=list)


class Attacher:
    """most: bytes in hand; a message that is larger goes when there are no others."""

    def __init__(self, pool: Pool, keyring: KeyRing, verdicts: Verdicts, most: int) -> None:
        self._pool = pool
        self._keyring = keyring
        self._verdicts = verdicts
        self._most = most
        self._sizes: dict[Hold, int] = {}
        self._in_hand = 0

    async def attach(self, ready: Sequence[Ready]) -> Attached:
        """With their files, for which there is one query. Before an error nothing is in hand of these."""
        carrying = {one.held.claim.hold: one for one in ready if _listed(one.held.work)}
        if not carrying:
            return Attached(list(ready))
        taken = [one for one in carrying.values() if self._take(one.held)]
        try:
            contents = await self._read({one.held.claim.notification_id for one in taken})
        except BaseException:
            for one in taken:
                self.release(one.held)
            raise
        result = Attached([])
        for one in ready:
            if (hold := one.held.claim.hold) not in carrying:
                result.ready.append(one)
            elif hold not in self._sizes:
                waits = self._verdicts.postponed(one.held, Reason.FILES_WAITING)
                result.left.append((one, waits))
            elif complete := _with_files(one, contents.get(one.held.claim.notification_id)):
                result.ready.append(complete)
            else:
                log.error("attachments.unreadable", delivery_id=str(one.held.claim.delivery_id))
                unreadable = self._verdicts.postponed(one.held, Reason.UNREADABLE)
                result.left.append((one, unreadable))
        return result

    def release(self, held: Held) -> None:
        """It is sent, or let go."""
        if self._sizes:
            self._in_hand -= self._sizes.pop(held.claim.hold, 0)

    def _take(self, held: Held) -> bool:
        size = sum(one["size"] for one in _listed(held.work))
        if self._sizes and self._in_hand + size > self._most:
            return False
        self._sizes[held.claim.hold] = size
        self._in_hand += size
        return True

    async def _read(self, notification_ids: set[UUID]) -> Mapping[UUID, Sequence[bytes] | None]:
        if not notification_ids:
            return {}
        async with borrow(self._pool) as connection:
            return await attachments.of(connection, sorted(notification_ids), self._keyring)


def _listed(work: Work) -> Sequence[Mapping[str, Any]]:
    """What the notification tells of them."""
    if work.channel is not Channel.EMAIL or (options := work.payload.get("email")) is None:
        return _NONE
    listed: Sequence[Mapping[str, Any]] = options.get("attachments", _NONE)
    return listed


def _with_files(one: Ready, contents: Sequence[bytes] | None) -> Ready | None:
    """None where the files are not all there."""
    listed, content = _listed(one.held.work), one.message.content
    if contents is None or len(contents) != len(listed) or not isinstance(content, EmailContent):
        return None
    files = tuple(
        Attachment(file["filename"], file["content_type"], data, file["content_id"])
        for file, data in zip(listed, contents, strict=True)
    )
    return replace(one, message=replace(one.message, content=replace(content, attachments=files)))
