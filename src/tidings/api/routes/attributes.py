"""Declared attributes: those of the users' attributes that segments can choose by."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field

from tidings.api.authentication import CanEditUsers, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.domain.filters import BUILT_IN, AttributeType
from tidings.intake.request import Name, Wire
from tidings.store import attributes
from tidings.store.attributes import Attribute, AttributeInUseError
from tidings.store.database import borrow

router = APIRouter(prefix="/attributes", tags=["segments"], route_class=StrictJson)


def _not_built_in(value: str) -> str:
    if value in BUILT_IN:
        raise ValueError("every user has it without a declaration")
    return value


AttributeName = Annotated[Name, AfterValidator(_not_built_in)]


class AttributeDeclaration(Wire):
    """type: a value of another type is kept with the user and not found by segments; `strings` is a list
    of them. The values are stored in the open, not sealed as others are, so that the database can choose by
    them."""

    type: AttributeType
    description: Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = ""


class AttributeView(BaseModel):
    name: str
    type: AttributeType
    description: str
    created_at: datetime
    updated_at: datetime


class AttributeList(BaseModel):
    """filling: the values of users are being read anew after a change, and some may not be found yet."""

    attributes: list[AttributeView]
    filling: bool


@router.get("", responses=problems())
async def listed(parts: Wired, _: CanRead) -> AttributeList:
    """The declared attributes, in the order of their names."""
    async with borrow(parts.pool) as connection:
        found = await attributes.listed(connection)
        filling = await attributes.filling(connection)
    return AttributeList(attributes=[_view(one) for one in found], filling=filling)


@router.put("/{name}", responses=problems(409, 413))
async def declare(
    name: AttributeName, body: AttributeDeclaration, parts: Wired, _: CanEditUsers
) -> AttributeView:
    """Declare an attribute, so that segments can choose by it. The values that users have already are read
    in the background."""
    async with borrow(parts.pool) as connection:
        try:
            declared = await attributes.declare(connection, name, body.type, body.description)
        except AttributeInUseError as error:
            raise _in_use(error) from None
    parts.sweep()
    return _view(declared)


@router.delete("/{name}", status_code=204, response_class=Response, responses=problems(404, 409))
async def remove(name: Name, parts: Wired, _: CanEditUsers) -> None:
    """End a declaration. The users keep the attribute, sealed."""
    async with borrow(parts.pool) as connection:
        try:
            removed = await attributes.remove(connection, name)
        except AttributeInUseError as error:
            raise _in_use(error) from None
    if not removed:
        raise Problem(Code.NOT_FOUND, "There is no such declared attribute.")
    parts.sweep()


def _in_use(error: AttributeInUseError) -> Problem:
    return Problem(Code.ATTRIBUTE_IN_USE, f"The segment {error.segment_id!r} chooses by it.")


def _view(one: Attribute) -> AttributeView:
    return AttributeView(
        name=one.name,
        type=one.type,
        description=one.description,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )
