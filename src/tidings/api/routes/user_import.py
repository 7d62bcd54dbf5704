"""POST /users/import: any number of users, as JSON lines or CSV, in bounded memory.

The answer is a stream of JSON lines and comes while the request is still being sent: a line for each one that is
refused, and one for what is stored so far.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tidings.api.authentication import CanEditUsers
from tidings.api.bodies import StrictJson, parse
from tidings.api.limits import media_type
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem, of_validation
from tidings.api.responses import problems
from tidings.api.routes.bulk import NDJSON
from tidings.api.routes.lines import Line, slices
from tidings.api.routes.records import Record, RecordError, Records, cells
from tidings.api.routes.users import UserChange, unreadable
from tidings.api.streamed import StreamedAnswer
from tidings.intake.request import UserId
from tidings.store import user_changes
from tidings.store.database import UNAVAILABLE, borrow
from tidings.store.keyring import KeyRingError
from tidings.store.user_changes import Change

router = APIRouter(prefix="/users", tags=["users"], route_class=StrictJson)

CSV = b"text/csv"
_SLICE = 500
_SLICE_BYTES = 2 * 2**20
_CHECKED_AT_ONCE = 50  # lines between two turns of the event loop
_FIELDS = ("user_id", "email", "phone", "locale", "timezone", "attributes")
_ATTRIBUTE = "attributes."

Answer = dict[str, Any]


class UserLine(UserChange):
    """A user, with what is to change. A user that is not there is made."""

    user_id: UserId


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON.decode(): {"schema": {"type": "string"}},
            CSV.decode(): {"schema": {"type": "string"}},
        },
    }
}
_LINES = {"content": {"application/x-ndjson": {}}, "description": "JSON lines."}


@router.post(
    "/import",
    status_code=202,
    response_class=Response,
    openapi_extra=_BODY,
    responses={202: _LINES, **problems()},
    name="import",
)
async def import_users(request: Request, parts: Wired, _: CanEditUsers) -> Response:
    """Create and change users: a JSON object with `user_id` a line, or CSV with a head. What a line does not name
    stays as it is."""
    kind = media_type(request.headers.get("content-type", "").encode("latin-1"))
    if kind not in {NDJSON, CSV}:
        raise Problem(
            Code.INVALID_REQUEST,
            f"Send the header `Content-Type: {NDJSON.decode()}` or `{CSV.decode()}`.",
        )
    run = _Run(parts, _Csv(parts.settings.max_body) if kind == CSV else _Json())
    return StreamedAnswer(run.answers(request))


class _Json:
    """A JSON object a line."""

    def feed(self, lines: Sequence[Line]) -> Iterable[Record]:
        return [Record(line.number, line.text) for line in lines]

    def end(self) -> Iterable[Record]:
        return ()

    def read(self, text: bytes, *, first: bool) -> Any:
        """None for an empty line. Raises Problem."""
        text = text.removeprefix(b"\xef\xbb\xbf") if first else text
        if not text or text.isspace():
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise Problem(Code.MALFORMED_JSON, f"The line is not valid JSON: {error}.") from None


class _Csv(Records):
    """A head with the names of the columns, then a user a record. An empty cell names nothing."""

    def __init__(self, longest: int) -> None:
        super().__init__(longest)
        self._names: list[str] | None = None
        self._separator = ","

    def read(self, text: bytes, *, first: bool) -> Any:
        """None for the head and for an empty line. Raises Problem; and _BadHeadError, behind which there is no going on."""
        try:
            if self._names is None:
                self._names = self._head(text)
                return None
            found = cells(text, separator=self._separator)
        except RecordError as error:
            raise _wrong("line", str(error)) from None
        return self._document(found) if found else None

    def _head(self, text: bytes) -> list[str]:
        if (
            b";" in text and b"," not in text
        ):  # as spreadsheets write it where the comma is for decimals
            self._separator = ";"
        names = [name.strip() for name in cells(text, separator=self._separator)]
        unknown = [
            name
            for name in names
            if name not in _FIELDS and not (name.startswith(_ATTRIBUTE) and name != _ATTRIBUTE)
        ]
        if unknown or "user_id" not in names or len(set(names)) < len(names):
            raise _BadHeadError(
                "The first line must name the columns, each once: user_id, and any of "
                f"{', '.join(_FIELDS[1:])} (JSON), {_ATTRIBUTE}NAME (text)."
            )
        return names

    def _document(self, found: list[str]) -> Answer:
        assert self._names is not None
        if len(found) != len(self._names):
            raise _wrong("line", f"has {len(found)} cells, the head has {len(self._names)}")
        given = {name: cell for name, cell in zip(self._names, found, strict=True) if cell}
        attributes = {
            name.removeprefix(_ATTRIBUTE): given.pop(name)
            for name in list(given)
            if name.startswith(_ATTRIBUTE)
        }
        document: Answer = {**given}
        if "attributes" in given:
            document["attributes"] = _parsed(given["attributes"])
        if attributes:
            document["attributes"] = {**document.get("attributes", {}), **attributes}
        return document


class _BadHeadError(Exception):
    """Without a head nothing that follows can be read."""


def _parsed(cell: str) -> Any:
    try:
        parsed = parse(cell.encode())
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise _wrong("attributes", "must be a JSON object")
    return parsed


class _Run:
    """One import, from its first line to its last."""

    def __init__(self, parts: Parts, reader: _Json | _Csv) -> None:
        self._parts = parts
        self._reader = reader
        self._lines = 0
        self._created = 0
        self._changed = 0
        self._unchanged = 0
        self._refused = 0

    async def answers(self, request: Request) -> AsyncIterator[bytes]:
        coming = slices(
            request,
            first=1,
            longest=self._parts.settings.max_body,
            most=_SLICE,
            most_bytes=_SLICE_BYTES,
        )
        try:
            async for lines in coming:
                yield _dump(await self._store(self._reader.feed(lines)))
                self._lines = lines[-1].number
                yield _dump([self._progress()])
            yield _dump(await self._store(self._reader.end()))
        except ClientDisconnect:
            return
        except _BadHeadError as error:
            yield self._broken_off(_wrong("line", str(error)))
        except UNAVAILABLE:
            yield self._broken_off(Problem(Code.UNAVAILABLE, "Try again in a moment."))
        else:
            yield _dump([{**self._progress(), "done": True}])

    async def _store(self, records: Iterable[Record]) -> list[Answer]:
        """Store what is good; what is wrong with the others."""
        changes: dict[int, Change] = {}
        refused: dict[int, Problem] = {}
        for count, record in enumerate(records):
            try:
                if (change := self._change(record)) is not None:
                    changes[record.number] = change
            except Problem as problem:
                refused[record.number] = problem
            if count % _CHECKED_AT_ONCE == 0:
                await asyncio.sleep(0)
        refused |= await self._merge(changes)
        self._refused += len(refused)
        return [
            {"line": number, "problem": problem.document()}
            for number, problem in sorted(refused.items())
        ]

    def _change(self, record: Record) -> Change | None:
        if record.text is None:
            most = self._parts.settings.max_body
            raise Problem(Code.BODY_TOO_LARGE, f"A line may have at most {most} bytes.")
        document = self._reader.read(record.text, first=record.number == 1)
        if document is None:
            return None
        try:
            line = UserLine.model_validate(document)
        except ValidationError as error:
            raise of_validation(error) from None
        return line.of(line.user_id)

    async def _merge(self, changes: Mapping[int, Change]) -> dict[int, Problem]:
        """In one transaction; where a stored user cannot be opened, each by itself, so that only that one is refused."""
        if not changes:
            return {}
        try:
            async with borrow(self._parts.pool) as connection, connection.transaction():
                users = len({one.user_id for one in changes.values()})
                created, changed = await user_changes.merge(
                    connection, list(changes.values()), self._parts.keyring
                )
        except KeyRingError:
            if len(changes) == 1:
                return dict.fromkeys(changes, unreadable())
            refused: dict[int, Problem] = {}
            for number, change in changes.items():
                refused |= await self._merge({number: change})
            return refused
        self._created += created
        self._changed += changed
        self._unchanged += users - created - changed
        return {}

    def _progress(self) -> Answer:
        return {
            "lines": self._lines,
            "created": self._created,
            "changed": self._changed,
            "unchanged": self._unchanged,
            "refused": self._refused,
        }

    def _broken_off(self, problem: Problem) -> bytes:
        return _dump([{**self._progress(), "problem": problem.document()}])


def _dump(documents: Sequence[Answer]) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in documents)


def _wrong(path: str, message: str) -> Problem:
    return Problem(
        Code.INVALID_REQUEST, f"{path}: {message}", [FieldError(path=path, message=message)]
    )
