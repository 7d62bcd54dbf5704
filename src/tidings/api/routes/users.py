"""Users: addresses, language, time zone and attributes."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from tidings.api.authentication import CanEditUsers
from tidings.api.bodies import StrictJson
from tidings.api.paging import Limit
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.intake.request import Document, Email, Locale, Name, Phone, UserId, Wire, Zone
from tidings.store import user_changes, users
from tidings.store.database import borrow
from tidings.store.forgetting import forget
from tidings.store.keyring import KeyRingError
from tidings.store.user_changes import Change
from tidings.store.users import Profile, User

router = APIRouter(prefix="/users", tags=["users"], route_class=StrictJson)

MOST_ATTRIBUTES = 200


def _few(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) > MOST_ATTRIBUTES or any(len(name) > 100 for name in value):
        raise ValueError(
            f"at most {MOST_ATTRIBUTES} attributes, with names of up to 100 characters"
        )
    return value


Attributes = Annotated[Document, AfterValidator(_few)]
_FIELDS = frozenset({"email", "phone", "locale", "timezone"})


class UserProfile(Wire):
    """attributes: any JSON object; kept sealed."""

    email: Email | None = None
    phone: Phone | None = None
    locale: Locale | None = None
    timezone: Zone | None = None
    attributes: Attributes = Field(default_factory=dict)


class UserChange(Wire):
    """What is not named stays as it is; null takes it away. attributes: the same for each of them."""

    email: Email | None = None
    phone: Phone | None = None
    locale: Locale | None = None
    timezone: Zone | None = None
    attributes: Attributes | None = None

    def of(self, user_id: str) -> Change:
        given = {name: getattr(self, name) for name in self.model_fields_set & _FIELDS}
        attributes = self.attributes if "attributes" in self.model_fields_set else {}
        return Change(user_id, given, attributes)


class UserView(BaseModel):
    user_id: str
    email: str | None
    phone: str | None
    locale: str | None
    timezone: str | None
    attributes: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class UserPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    users: list[UserView]
    next_cursor: str | None


@router.get("", responses=problems())
async def listed(
    parts: Wired,
    _: CanEditUsers,
    email: Annotated[Email | None, Query(description="Whose address this is.")] = None,
    phone: Annotated[Phone | None, Query(description="Whose number this is.")] = None,
    cursor: Annotated[Name | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Limit = 50,
) -> UserPage:
    """Users, in the order of their ids."""
    try:
        found = await users.listed(
            parts.pool, parts.keyring, after=cursor, limit=limit, email=email, phone=phone
        )
    except KeyRingError:
        raise unreadable() from None
    return UserPage(
        users=[view(one) for one in found],
        next_cursor=found[-1].id if len(found) == limit else None,
    )


@router.get("/{user_id}", responses=problems(404))
async def read(user_id: UserId, parts: Wired, _: CanEditUsers) -> UserView:
    """What is stored of a user."""
    try:
        found = await users.find(parts.pool, user_id, parts.keyring)
    except KeyRingError:
        raise unreadable() from None
    if found is None:
        raise unknown_user()
    return view(found)


@router.put("/{user_id}", responses=problems(413))
async def write(user_id: UserId, body: UserProfile, parts: Wired, _: CanEditUsers) -> UserView:
    """Store a user; what is there already is replaced."""
    profile = Profile(
        email=body.email,
        phone=body.phone,
        locale=body.locale,
        timezone=body.timezone,
        attributes=body.attributes,
    )
    async with borrow(parts.pool) as connection, connection.transaction():
        await users.save(connection, {user_id: profile}, parts.keyring)
        saved = await users.find(connection, user_id, parts.keyring)
    assert saved is not None
    return view(saved)


@router.patch("/{user_id}", responses=problems(404, 413))
async def change(user_id: UserId, body: UserChange, parts: Wired, _: CanEditUsers) -> UserView:
    """Change what is named of a user."""
    try:
        async with borrow(parts.pool) as connection, connection.transaction():
            found = await user_changes.change(connection, user_id, body.of(user_id), parts.keyring)
    except KeyRingError:
        raise unreadable() from None
    if found is None:
        raise unknown_user()
    return view(found)


@router.delete("/{user_id}", status_code=204, response_class=Response, responses=problems(404))
async def remove(user_id: UserId, parts: Wired, _: CanEditUsers) -> None:
    """Forget a user, their devices and choices. What was sent to them stays on record; see erase."""
    async with borrow(parts.pool) as connection, connection.transaction():
        if not any((await forget(connection, user_id)).values()):
            raise unknown_user()


def view(one: User) -> UserView:
    return UserView(
        user_id=one.id,
        email=one.profile.email,
        phone=one.profile.phone,
        locale=one.profile.locale,
        timezone=one.profile.timezone,
        attributes=dict(one.profile.attributes),
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def unknown_user() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such user.")


def unreadable() -> Problem:
    return Problem(
        Code.RECIPIENT_UNREADABLE, "What is stored of the user cannot be opened with this key ring."
    )
