"""Callbacks of vendors that could not be read, or not in full: listed, and read once more."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tidings.api.authentication import CanManageAccounts
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Wired
from tidings.api.responses import problems
from tidings.domain.ids import time_of
from tidings.intake.request import Name, Wire
from tidings.store import callbacks

router = APIRouter(prefix="/unread-callbacks", tags=["callbacks"], route_class=StrictJson)


class UnreadCallbackView(BaseModel):
    """problem: why it could not be read; what could be read of it counts already."""

    callback_id: UUID
    account: str
    received_at: datetime
    problem: str


class UnreadCallbackPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    callbacks: list[UnreadCallbackView]
    next_cursor: UUID | None


class Rereading(Wire):
    """Without ids those of the account, and without an account all."""

    ids: Annotated[list[UUID], Field(max_length=1_000)] | None = None
    account: Name | None = None


class Reread(BaseModel):
    """retried: how many are read once more, soon."""

    retried: int


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanManageAccounts,
    cursor: Cursor = None,
    limit: Limit = 50,
    account: Name | None = None,
) -> UnreadCallbackPage:
    """Callbacks that could not be read, the newest first."""
    found = await callbacks.unread(parts.pool, account, before=cursor, limit=limit)
    return UnreadCallbackPage(
        callbacks=[
            UnreadCallbackView(
                callback_id=one.id,
                account=one.account,
                received_at=time_of(one.id),
                problem=one.problem,
            )
            for one in found
        ],
        next_cursor=found[-1].id if len(found) == limit else None,
    )


@router.post("/retry", responses=problems(413))
async def retry(body: Rereading, parts: Wired, _: CanManageAccounts) -> Reread:
    """Read them once more, as after an upgrade or with the key ring mended. What was read before counts once."""
    async with parts.pool.acquire() as connection:
        return Reread(retried=await callbacks.retry(connection, body.account, body.ids))
