"""Tokens for users' own browsers and apps."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tidings.api.authentication import CanEditUsers
from tidings.api.bodies import StrictJson
from tidings.api.parts import Wired
from tidings.api.responses import problems
from tidings.inbox.tokens import UserToken, seal_token
from tidings.intake.request import UserId, Wire

router = APIRouter(prefix="/users/{user_id}/inbox", tags=["inbox"], route_class=StrictJson)


class TokenWish(Wire):
    """expires_in: seconds; no more than `[inbox] token_lifetime` are given, which is the default."""

    expires_in: Annotated[int, Field(ge=1, le=86_400)] | None = None


class TokenView(BaseModel):
    token: str
    expires_at: datetime


@router.post("/tokens", status_code=201, responses=problems())
async def make_token(
    user_id: UserId, parts: Wired, _: CanEditUsers, wish: TokenWish | None = None
) -> TokenView:
    """A token with which this user's own browser or app reads, watches and changes their feed, and nothing else."""
    longest = int(parts.inbox.token_lifetime)
    wished = longest if wish is None or wish.expires_in is None else wish.expires_in
    lifetime = min(wished, longest)
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=lifetime)
    token = seal_token(UserToken(user_id, expires_at), parts.keyring)
    return TokenView(token=token, expires_at=expires_at)
