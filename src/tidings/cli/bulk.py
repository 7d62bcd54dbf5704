"""A file of notifications, one JSON object per line, sent in bulk and never doubled.

Every line gets an idempotency key made of a prefix and its number. With the file's digest as prefix,
sending the same file again, after a crash or on a doubtful answer, sends only what was not accepted.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import orjson
import pydantic_core

from tidings.cli.client import Api, ProblemError

_MOST_LINES = 500
_MOST_BYTES = 4 * 2**20  # of a request; a line that alone is longer makes a request of its own
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OF_ONE_ITEM = frozenset({400, 413})


@dataclass(frozen=True, slots=True)
class Line:
    """A notification with its idempotency key, as JSON."""

    number: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one line: the notification's id, or the problem's code and what is wrong."""

    number: int
    notification_id: str | None = None
    code: str = ""
    detail: str = ""

    def document(self) -> dict[str, Any]:
        if self.notification_id is not None:
            return {"line": self.number, "notification_id": self.notification_id}
        return {"line": self.number, "problem": {"code": self.code, "detail": self.detail}}


def survey(file: IO[bytes]) -> tuple[str, int]:
    """The file's digest and how many lines hold something. Reads all of it, and goes back to its start."""
    digest, count = hashlib.blake2b(digest_size=16), 0
    for line in file:
        digest.update(line)
        count += not line.isspace()
    file.seek(0)
    return digest.hexdigest(), count


def read(file: IO[bytes], prefix: str) -> Iterator[Line | Result]:
    """Every line that holds something: ready to be sent, or refused here."""
    for number, raw in enumerate(file, start=1):
        text = (raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw).strip()
        if text:
            yield _line(number, text, f"{prefix}-{number}")


def send_all(
    lines: Iterable[Line | Result], post: Callable[[bytes], Any], done: Callable[[Result], None]
) -> None:
    """Send in requests of many lines; done: told the result of each, nearly in their order.

    post: sends the body of one bulk request and returns the answer. Raises what post raises, except
    for problems of single lines.
    """
    batch: list[Line] = []
    size = 0
    for line in lines:
        if isinstance(line, Result):
            done(line)
            continue
        if batch and (len(batch) == _MOST_LINES or size + len(line.body) > _MOST_BYTES):
            for result in _post(batch, post):
                done(result)
            batch, size = [], 0
        batch.append(line)
        size += len(line.body)
    if batch:
        for result in _post(batch, post):
            done(result)


def bulk_post(api: Api) -> Callable[[bytes], Any]:
    return lambda body: api.send("POST", "notifications", "bulk", body=body)


def _line(number: int, text: bytes, key: str) -> Line | Result:
    """The key is put into the text as it stands: to read and write JSON anew could change it."""
    try:
        document = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return Result(number, code="malformed_json", detail=f"not JSON: {error}")
    if not isinstance(document, dict):
        return Result(number, code="invalid_request", detail="not a JSON object")
    if not document or document.get("idempotency_key") is not None:
        return Line(number, text)
    if "idempotency_key" in document:
        return Result(number, code="invalid_request", detail="idempotency_key: must not be null")
    return Line(number, b'{"idempotency_key":%s,%s' % (orjson.dumps(key), text[1:]))


def _post(lines: list[Line], post: Callable[[bytes], Any]) -> Iterator[Result]:
    body = b'{"notifications":[' + b",".join(line.body for line in lines) + b"]}"
    try:
        answer = post(body)
    except ProblemError as problem:
        if problem.status not in _OF_ONE_ITEM:
            raise
        # The request as a whole was refused, for its size or for one line that spoils it: find it.
        if len(lines) == 1:
            yield Result(lines[0].number, code=problem.code, detail=problem.message)
            return
        half = len(lines) // 2
        yield from _post(lines[:half], post)
        yield from _post(lines[half:], post)
        return
    for line, item in zip(lines, answer["results"], strict=True):
        yield _result(line.number, item)


def _result(number: int, item: dict[str, Any]) -> Result:
    if "problem" in item:
        return Result(number, code=item["problem"]["code"], detail=item["problem"]["detail"])
    return Result(number, notification_id=item["notification_id"])
