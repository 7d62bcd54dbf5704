"""How a batch is filled: what is checked and written in the transaction that stores notifications of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from tidings.store import batches
from tidings.store.batches import NewBatch
from tidings.store.database import Connection


class BatchClosedError(Exception):
    """The batch is sealed or cancelled, or its stream went on elsewhere; nothing of the transaction is stored."""


class Filling(Protocol):
    async def join(
        self, connection: Connection, *, stored: int, refused: Mapping[str, int]
    ) -> None:
        """In the transaction, before `stored` notifications are. refused: how many were, by the code of the problem.
        Raises BatchClosedError."""


@dataclass(frozen=True, slots=True)
class IntoNew:
    """The first notifications of a batch, which is made with them, if there are any."""

    batch: NewBatch

    async def join(
        self, connection: Connection, *, stored: int, refused: Mapping[str, int]
    ) -> None:
        if stored:
            await batches.create(connection, self.batch)


@dataclass(frozen=True, slots=True)
class IntoOpen:
    """Further notifications for a batch that is open, and stays so until they are stored."""

    batch_id: UUID

    async def join(
        self, connection: Connection, *, stored: int, refused: Mapping[str, int]
    ) -> None:
        if stored and not await batches.hold_open(connection, [self.batch_id]):
            raise BatchClosedError


@dataclass(frozen=True, slots=True)
class IntoStream:
    """The lines of a stream behind `before`, up to `lines`: stored and counted in one transaction, so that a
    stream that goes on from the count repeats none and leaves none out. refused: of these before intake, by the code of
    the problem."""

    batch_id: UUID
    before: int
    lines: int
    refused: Mapping[str, int]

    async def join(
        self, connection: Connection, *, stored: int, refused: Mapping[str, int]
    ) -> None:
        if not await batches.advance(
            connection,
            self.batch_id,
            before=self.before,
            lines=self.lines,
            refused=Counter(self.refused) + Counter(refused),
        ):
            raise BatchClosedError
