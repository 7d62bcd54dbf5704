"""Conversions: the application tells what a person did, and it is put down to the message that led to it."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

import orjson
import uuid_utils.compat as uuids
from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.intake.request import Moment, Name, UserId, Wire
from tidings.store import conversions
from tidings.store.api_keys import ApiKey
from tidings.store.conversions import By, Conversion, NewConversion

router = APIRouter(prefix="/events", tags=["events"], route_class=StrictJson)

MOST_AT_ONCE = 1_000
_AHEAD = timedelta(minutes=5)  # clocks differ

Value = Annotated[Decimal, Field(ge=-(10**12), le=10**12, decimal_places=6, allow_inf_nan=False)]


class EventRequest(Wire):
    """name: what the user did, such as `purchased`. One of user_id, notification_id and delivery_id must be given; the last
    two name the message that it is of. occurred_at: by default, now. event_id: told again under the same one, it counts
    once. currency: ISO 4217."""

    name: Name
    user_id: UserId | None = None
    notification_id: UUID | None = None
    delivery_id: UUID | None = None
    occurred_at: Moment | None = None
    value: Value | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    event_id: Name | None = None
    metadata: Annotated[
        dict[Name, Annotated[str, Field(max_length=1_000)]], Field(max_length=50)
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_of_somebody(self) -> Self:
        if self.notification_id is not None and self.delivery_id is not None:
            raise ValueError("notification_id and delivery_id exclude each other")
        if (self.user_id, self.notification_id, self.delivery_id) == (None, None, None):
            raise ValueError("one of user_id, notification_id and delivery_id must be given")
        if (self.value is None) != (self.currency is None):
            raise ValueError("value and currency go together")
        moment = self.occurred_at
        if moment is not None and not (
            datetime(2000, 1, 1, tzinfo=UTC) <= moment <= datetime.now(UTC) + _AHEAD
        ):
            raise ValueError("occurred_at must be a time since 2000 that has come")
        return self


class ManyEvents(Wire):
    events: Annotated[list[EventRequest], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Told(BaseModel):
    """repeated: it was told before under its event_id."""

    id: UUID
    repeated: bool


class ManyTold(BaseModel):
    events: list[Told]


class AttributionView(BaseModel):
    """by: why it is put down to this message: the request named it, or it is the last whose link the user followed, or which
    they opened."""

    delivery_id: UUID
    by: By
    template_id: str
    template_version: int
    channel: str
    batch_id: UUID | None


class EventView(BaseModel):
    """attribution: null where no message came before it, and as long as `attributed` is false, some seconds from the
    request."""

    id: UUID
    name: str
    user_id: str | None
    occurred_at: datetime
    value: Decimal | None
    currency: str | None
    event_id: str | None
    metadata: dict[str, str] | None
    attributed: bool
    attribution: AttributionView | None


@router.post("", status_code=202, responses=problems(409, 413))
async def tell(body: EventRequest, parts: Wired, key: CanSend) -> Told:
    """Tell what a person did, to be put down to the message that led to it."""
    [told] = await _tell(parts, key, [body])
    return told


@router.post("/bulk", status_code=202, responses=problems(409, 413))
async def tell_many(body: ManyEvents, parts: Wired, key: CanSend) -> ManyTold:
    """Up to 1,000 at once: all of them, or none."""
    return ManyTold(events=await _tell(parts, key, body.events))


@router.get("/{event_id}", responses=problems(404))
async def read(event_id: UUID, parts: Wired, _: CanRead) -> EventView:
    """What was told, and the message that it was put down to. event_id: the id that the answer gave it."""
    found = await conversions.find(parts.pool, event_id, parts.keyring)
    if found is None:
        raise Problem(Code.NOT_FOUND, "There is no such event.")
    return _view(found)


async def _tell(parts: Parts, key: ApiKey, given: Sequence[EventRequest]) -> list[Told]:
    now = datetime.now(UTC)
    fresh = [_new(one, key, now) for one in given]
    async with parts.pool.acquire() as connection, connection.transaction():
        held = await conversions.add(connection, fresh, parts.keyring, parts.conversions_wait)
        for position, one in enumerate(fresh):
            if one.event_id is not None and held[key.id, one.event_id][1] != one.fingerprint:
                detail = (
                    f"event_id {one.event_id!r} was used for something else (number {position})."
                )
                raise Problem(Code.IDEMPOTENCY_CONFLICT, detail)
    parts.attribute()
    told = []
    for one in fresh:
        known = one.id if one.event_id is None else held[key.id, one.event_id][0]
        told.append(Told(id=known, repeated=known != one.id))
    parts.metrics.conversions.inc(sum(1 for one in told if not one.repeated))
    return told


def _new(one: EventRequest, key: ApiKey, now: datetime) -> NewConversion:
    document = one.model_dump(mode="json", exclude_unset=True)
    canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return NewConversion(
        id=uuids.uuid7(),
        api_key_id=key.id,
        name=one.name,
        user_id=one.user_id,
        occurred_at=one.occurred_at or now,
        value=one.value,
        currency=one.currency,
        event_id=one.event_id,
        fingerprint=hashlib.blake2b(canonical, digest_size=16).digest(),
        named=one.delivery_id or one.notification_id,
        metadata=one.metadata,
    )


def _view(one: Conversion) -> EventView:
    attribution = None
    if one.delivery_id and one.by and one.template_id and one.template_version and one.channel:
        attribution = AttributionView(
            delivery_id=one.delivery_id,
            by=one.by,
            template_id=one.template_id,
            template_version=one.template_version,
            channel=one.channel,
            batch_id=one.batch_id,
        )
    return EventView(
        id=one.id,
        name=one.name,
        user_id=one.user_id,
        occurred_at=one.occurred_at,
        value=one.value,
        currency=one.currency,
        event_id=one.event_id,
        metadata=None if one.metadata is None else dict(one.metadata),
        attributed=one.looked,
        attribution=attribution,
    )
