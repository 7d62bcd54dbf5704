"""All that is held about a user: to hand it out, and to erase it."""

from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from tidings.api.authentication import CanEditUsers
from tidings.api.bodies import StrictJson
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.routes.users import unreadable
from tidings.api.streamed import StreamedAnswer
from tidings.intake.request import UserId
from tidings.people.erasing import erase
from tidings.people.exporting import Entry, export
from tidings.store.keyring import KeyRingError

router = APIRouter(prefix="/users/{user_id}", tags=["users"], route_class=StrictJson)

_LINES = {"content": {"application/x-ndjson": {}}, "description": "JSON lines."}


class ErasedView(BaseModel):
    """notifications: of how many the person was taken out. complete: nothing is left; otherwise messages are being
    sent at this moment, and erasing again finishes it."""

    notifications: int
    complete: bool


@router.get(
    "/export", response_class=Response, responses={200: _LINES, **problems(404)}, name="export"
)
async def read_all(user_id: UserId, parts: Wired, _: CanEditUsers) -> Response:
    """Everything that is held about a user, as JSON lines: `kind` says what each is."""
    entries = export(parts.pool, user_id, parts.keyring)
    try:
        first = await anext(entries, None)
    except KeyRingError:
        raise unreadable() from None
    if first is None:
        raise Problem(Code.NOT_FOUND, "Nothing is held about such a user.")
    return StreamedAnswer(_lines(first, entries), status=200)


@router.post("/erase", responses=problems())
async def erase_all(user_id: UserId, parts: Wired, _: CanEditUsers) -> ErasedView:
    """Erase the person: what is not sent yet is cancelled, and of what was sent only what became of it is kept. What
    must not be sent to stays so, by hash. For good; again does no harm."""
    try:
        done = await erase(parts.pool, user_id, parts.keyring)
    except KeyRingError:
        raise unreadable() from None
    return ErasedView(notifications=done.notifications, complete=done.complete)


async def _lines(first: Entry, entries: AsyncIterator[Entry]) -> AsyncIterator[bytes]:
    yield _line(first)
    async for entry in entries:
        yield _line(entry)


def _line(entry: Entry) -> bytes:
    return orjson.dumps(
        entry, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE, default=_plain
    )


def _plain(value: object) -> object:
    """What orjson has no form for."""
    return list(value) if isinstance(value, frozenset | set) else str(value)
