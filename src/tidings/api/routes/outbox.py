"""The outbox: what the development provider kept instead of sending it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from tidings.api.authentication import CanReadContent
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Wired
from tidings.api.responses import problems
from tidings.domain.channels import Channel
from tidings.store import outbox

router = APIRouter(prefix="/outbox", tags=["outbox"])


class KeptMessageView(BaseModel):
    """content: as rendered for the channel."""

    delivery_id: UUID
    channel: Channel
    account: str
    address: str
    content: dict[str, Any]
    stored_at: datetime


class OutboxPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    messages: list[KeptMessageView]
    next_cursor: UUID | None


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanReadContent,
    cursor: Cursor = None,
    limit: Limit = 50,
    channel: Channel | None = None,
) -> OutboxPage:
    """Kept messages, the newest first."""
    kept = await outbox.listed(
        parts.pool, parts.keyring, before=cursor, limit=limit, channel=channel
    )
    return OutboxPage(
        messages=[
            KeptMessageView(
                delivery_id=one.id,
                channel=Channel(one.channel),
                account=one.account,
                address=one.message["address"],
                content=one.message["content"],
                stored_at=one.stored_at,
            )
            for one in kept
        ],
        next_cursor=kept[-1].id if len(kept) == limit else None,
    )
