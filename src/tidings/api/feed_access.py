"""Who may read and change a user's feed: an API key, or that user's own token."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from tidings.api.authentication import ALLOWED, API_KEY, Permission, bearer_of
from tidings.api.parts import Parts
from tidings.api.problems import Code, Problem
from tidings.inbox.tokens import PREFIX, open_token

# Only for the OpenAPI document, as that of the API key.
_USER_TOKEN = HTTPBearer(
    auto_error=False,
    scheme_name="User token",
    description="`Authorization: Bearer <token>`, as POST /users/{user_id}/inbox/tokens makes it",
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """expires_at: when a stream of theirs ends, at the latest."""

    may_change: bool
    expires_at: datetime

    def seconds_left(self) -> float:
        return (self.expires_at - datetime.now(UTC)).total_seconds()


class OwnOr:
    """A dependency that lets the user's own token pass, and keys with this permission. in_query: where a browser
    cannot set headers, the token may be `?token=`."""

    def __init__(self, permission: Permission, *, in_query: bool = False) -> None:
        self.permission = permission
        self._in_query = in_query

    async def __call__(
        self,
        request: Request,
        _: Annotated[object, Depends(API_KEY)],
        __: Annotated[object, Depends(_USER_TOKEN)],
    ) -> Visitor:
        return await self.check(request)

    async def check(self, request: Request) -> Visitor:
        given = bearer_of(request)
        if given is None and self._in_query:
            given = request.query_params.get("token")
        return await admit(request, request.path_params["user_id"], given, self.permission)


CanReadFeed = Annotated[Visitor, Depends(OwnOr(Permission.READ))]
CanChangeFeed = Annotated[Visitor, Depends(OwnOr(Permission.EDIT_USERS))]
CanWatchFeed = Annotated[Visitor, Depends(OwnOr(Permission.READ, in_query=True))]


async def admit(
    connection: HTTPConnection, user_id: str, given: str | None, permission: Permission
) -> Visitor:
    """given: the user's token, where it is one; an API key is read from the header alone. Raises Problem 401 or 403."""
    parts: Parts = connection.app.state.parts
    if given is None or not given.startswith(PREFIX):
        key = await parts.authentication.require(connection, permission)
        # As long as a user's token at the most: a key that is revoked meanwhile opens no stream for good.
        until = datetime.now(UTC) + timedelta(seconds=parts.inbox.token_lifetime)
        return Visitor(Permission.EDIT_USERS in ALLOWED[key.role], until)
    token = open_token(given, parts.keyring)
    if token is None:
        raise Problem(Code.UNAUTHORIZED, "The user's token is not valid.", headers=_CHALLENGE)
    if token.expires_at <= datetime.now(UTC):
        raise Problem(Code.TOKEN_EXPIRED, "Ask your backend for another token.", headers=_CHALLENGE)
    if token.user_id != user_id:
        raise Problem(Code.FORBIDDEN, "The token is another user's.")
    if not _is_allowed(connection, parts.inbox.origins):
        raise Problem(
            Code.FORBIDDEN, "Pages of this origin may not use tokens; see [inbox] origins."
        )
    return Visitor(True, token.expires_at)


_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def _is_allowed(connection: HTTPConnection, origins: Collection[str]) -> bool:
    """Whether the page that asks may: none, one of ours, or one of those that are allowed."""
    origin = connection.headers.get("origin")
    if origin is None or "*" in origins or origin.lower() in origins:
        return True
    return urlsplit(origin).netloc.lower() == connection.headers.get("host", "").lower()
