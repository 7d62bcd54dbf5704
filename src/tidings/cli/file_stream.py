"""A file of notifications, sent as one stream, and gone on with where it broke off.

The API counts a stream's lines in the transaction that stores them. So what is sent after a crash or a lost
connection begins with the line behind that count: none is doubled and none left out.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from tidings.cli.bulk import Result
from tidings.cli.client import Api, ProblemError, UnreachableError

_CHUNK = 64 * 2**10  # bytes
_AGAIN = frozenset({"unavailable", "stream_conflict"})


@dataclass(frozen=True, slots=True)
class Batch:
    """lines: how many are done. sealed: nothing is added any more."""

    id: str
    lines: int
    sealed: bool


@dataclass(frozen=True, slots=True)
class Told:
    """Those who are told: of the batch and the line it goes on with, of how many lines are done and of these
    accepted, and of single lines."""

    begun: Callable[[Batch], None]
    progress: Callable[[int, int], None]
    result: Callable[[Result], None]


class FileStream:
    """key: the stream's idempotency key, by which the same file finds its batch again."""

    def __init__(self, api: Api, file: IO[bytes], key: str, told: Told, *, ids: bool) -> None:
        self._api = api
        self._file = file
        self._key = key
        self._told = told
        self._ids = ids
        self._batch: Batch | None = None

    def go_on(self, batch_id: str) -> None:
        """With this batch, instead of the one of the key."""
        answer = self._api.get("batches", batch_id)
        self._batch = Batch(answer["batch_id"], answer["lines"], answer["sealed"])

    def send(self) -> None:
        """Send what is not done. Raises UnreachableError where it broke off: calling again goes on. Raises
        ProblemError where the API will not take it."""
        if self._batch is not None:
            self.go_on(self._batch.id)
            if self._batch.sealed:
                self._told.begun(self._batch)
                return
        done = self._batch.lines if self._batch is not None else 0
        accepted = 0
        for one in self._api.stream(
            *("notifications", "bulk"),
            body=self._body(done),
            headers={} if self._batch is not None else {"idempotency-key": self._key},
            batch_id=self._batch and self._batch.id,
            from_line=max(done, 1),
            ids=str(self._ids).lower(),
            seal="true",
        ):
            accepted = self._read(one, accepted)

    def _read(self, one: dict[str, Any], accepted: int) -> int:
        """An answer's line; how many are accepted up to it."""
        if "batch_id" in one:
            self._batch = Batch(one["batch_id"], one["lines"], sealed=False)
            self._told.begun(self._batch)
            return accepted
        if "line" in one:
            problem = one.get("problem") or {}
            self._told.result(
                Result(
                    one["line"],
                    one.get("notification_id"),
                    problem.get("code", ""),
                    problem.get("detail", ""),
                )
            )
            return accepted
        self._told.progress(one["lines"], one["accepted"] - accepted)
        if (problem := one.get("problem")) is not None:
            if problem["code"] in _AGAIN:
                raise UnreachableError(f"The API broke off: {problem['detail']}")
            raise ProblemError(problem["status"], problem["code"], problem["detail"], [], "")
        return int(one["accepted"])

    def _body(self, lines: int) -> Iterator[bytes]:
        """In chunks of whole lines. Where it goes on in the middle, the first line, which may say what is the
        same for all, comes in the place of the last that is done."""
        self._file.seek(0)
        if lines == 0:
            yield from chunks(self._file)
            return
        first = self._file.readline()
        for _ in range(lines - 1):
            self._file.readline()
        yield first if first.endswith(b"\n") else first + b"\n"
        yield from chunks(self._file)


def chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, gathered."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
