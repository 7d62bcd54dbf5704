"""The suppression list: addresses that must not be sent to."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from tidings.api.authentication import CanEditUsers
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.domain.channels import Channel
from tidings.domain.suppressions import SuppressionReason
from tidings.intake.request import Address, Email, Moment, Phone, Wire, as_stored
from tidings.store import suppressions
from tidings.store.database import borrow
from tidings.store.suppressions import Filter, NewSuppression, Suppression

router = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=StrictJson)

MOST_AT_ONCE = 10_000
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_PHONE: TypeAdapter[str] = TypeAdapter(Phone)
Category = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]


class SuppressionRequest(Wire):
    """category: only notifications of this category are kept away; without it, all. expires_at: from then on it does
    not count. note: for people; kept sealed."""

    channel: Channel
    address: Address
    reason: SuppressionReason = SuppressionReason.MANUAL
    category: Category | None = None
    expires_at: Moment | None = None
    note: Annotated[str, Field(max_length=1_000)] | None = None

    @field_validator("expires_at")
    @classmethod
    def _to_come(cls, value: datetime | None) -> datetime | None:
        if value is not None and not datetime.now(UTC) < value < datetime(2200, 1, 1, tzinfo=UTC):
            raise ValueError("must be a time to come, before the year 2200")
        return value

    @model_validator(mode="after")
    def _is_an_address(self) -> "SuppressionRequest":
        kinds = {Channel.EMAIL: _EMAIL, Channel.SMS: _PHONE}
        if self.channel in kinds:
            try:
                kinds[self.channel].validate_python(self.address)
            except ValidationError:
                raise ValueError(f"address is not valid for the channel {self.channel}") from None
        return self

    def stored(self) -> NewSuppression:
        return NewSuppression(
            channel=self.channel,
            address=as_stored(self.channel, self.address),
            reason=self.reason,
            category=self.category or "",
            expires_at=self.expires_at,
            note=self.note,
        )


class ManySuppressions(Wire):
    suppressions: Annotated[list[SuppressionRequest], Field(min_length=1, max_length=MOST_AT_ONCE)]


class SuppressionView(BaseModel):
    """address: null where the person was erased, and only a keyed hash is kept. detail: the reason of the delivery
    that led to it. active: not expired."""

    suppression_id: UUID
    channel: Channel
    address: str | None
    reason: SuppressionReason
    category: str | None
    detail: str | None
    note: str | None
    created_at: datetime
    expires_at: datetime | None
    active: bool


class SuppressionPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    suppressions: list[SuppressionView]
    next_cursor: UUID | None


class Suppressed(BaseModel):
    """added: that were not on the list; the others were on it, and changed."""

    added: int
    changed: int


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanEditUsers,
    channel: Channel | None = None,
    reason: SuppressionReason | None = None,
    category: Category | None = None,
    address: Annotated[
        Address | None, Query(description="An email, phone or other address.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> SuppressionPage:
    """What must not be sent to, the newest first; those that have expired, too."""
    if address is not None:
        address = as_stored(channel or Channel.EMAIL, address)
    wanted = Filter(channel, reason, category, address)
    rows = await suppressions.listed(parts.pool, wanted, parts.keyring, before=cursor, limit=limit)
    return SuppressionPage(
        suppressions=[_view(one) for one in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.post("", status_code=201, responses=problems(413))
async def add(body: SuppressionRequest, parts: Wired, _: CanEditUsers) -> Suppressed:
    """Send nothing to this address any more. What is on the list for it already is replaced."""
    return await _add(parts, [body])


@router.post("/bulk", status_code=201, responses=problems(413))
async def add_many(body: ManySuppressions, parts: Wired, _: CanEditUsers) -> Suppressed:
    """Up to 10,000 at once: all of them, or none."""
    return await _add(parts, body.suppressions)


@router.get("/{suppression_id}", responses=problems(404))
async def read(suppression_id: UUID, parts: Wired, _: CanEditUsers) -> SuppressionView:
    """One entry of the list."""
    found = await suppressions.find(parts.pool, suppression_id, parts.keyring)
    if found is None:
        raise _not_found()
    return _view(found)


@router.delete(
    "/{suppression_id}", status_code=204, response_class=Response, responses=problems(404)
)
async def remove(suppression_id: UUID, parts: Wired, _: CanEditUsers) -> None:
    """Let it be sent to again."""
    if not await suppressions.remove(parts.pool, suppression_id):
        raise _not_found()


async def _add(parts: Parts, given: list[SuppressionRequest]) -> Suppressed:
    fresh = [one.stored() for one in given]
    async with borrow(parts.pool) as connection:
        added, changed = await suppressions.add(connection, fresh, parts.keyring, replace=True)
    return Suppressed(added=added, changed=changed)


def _view(one: Suppression) -> SuppressionView:
    return SuppressionView(
        suppression_id=one.id,
        channel=one.channel,
        address=one.address,
        reason=one.reason,
        category=one.category or None,
        detail=one.detail,
        note=one.note,
        created_at=one.created_at,
        expires_at=one.expires_at,
        active=one.expires_at is None or one.expires_at > datetime.now(UTC),
    )


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such entry on the suppression list.")
