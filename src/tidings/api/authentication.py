"""Who calls, and what their role allows."""

from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from tidings.api.problems import Code, Problem
from tidings.store.api_keys import ApiKey, ApiKeyCache, Role


class Permission(StrEnum):
    SEND = "send"
    READ = "read"
    EDIT_TEMPLATES = "edit templates"
    EDIT_USERS = "edit users"
    READ_CONTENT = "read content"
    MANAGE_ACCOUNTS = "manage accounts"


ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.SENDER: frozenset({Permission.SEND, Permission.READ, Permission.EDIT_USERS}),
    Role.EDITOR: frozenset({Permission.READ, Permission.EDIT_TEMPLATES, Permission.READ_CONTENT}),
    Role.VIEWER: frozenset({Permission.READ}),
    Role.ADMIN: frozenset(Permission),
}

# Only for the OpenAPI document: it describes the header, authenticate() reads it.
API_KEY = HTTPBearer(
    auto_error=False, scheme_name="API key", description="`Authorization: Bearer <api key>`"
)


class Authentication:
    """Finds the API key of a request and checks its role."""

    def __init__(self, keys: ApiKeyCache) -> None:
        self._keys = keys

    async def require(self, request: HTTPConnection, permission: Permission) -> ApiKey:
        """Raises Problem 401 or 403."""
        secret = bearer_of(request)
        key = await self._keys.find(secret) if secret is not None else None
        if key is None:
            raise Problem(
                Code.UNAUTHORIZED,
                "Send the header `Authorization: Bearer <api key>` with a valid key.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if permission not in ALLOWED[key.role]:
            raise Problem(Code.FORBIDDEN, f"The role {key.role} may not {permission}.")
        return key


def bearer_of(request: HTTPConnection) -> str | None:
    """What stands behind `Authorization: Bearer`."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


class Require:
    """A dependency that lets only keys with this permission pass."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, _: Annotated[object, Depends(API_KEY)]) -> ApiKey:
        return await self.check(request)

    async def check(self, request: Request) -> ApiKey:
        """Raises Problem 401 or 403."""
        authentication: Authentication = request.app.state.parts.authentication
        return await authentication.require(request, self.permission)


CanSend = Annotated[ApiKey, Depends(Require(Permission.SEND))]
CanRead = Annotated[ApiKey, Depends(Require(Permission.READ))]
CanEditTemplates = Annotated[ApiKey, Depends(Require(Permission.EDIT_TEMPLATES))]
CanEditUsers = Annotated[ApiKey, Depends(Require(Permission.EDIT_USERS))]
CanReadContent = Annotated[ApiKey, Depends(Require(Permission.READ_CONTENT))]
CanManageAccounts = Annotated[ApiKey, Depends(Require(Permission.MANAGE_ACCOUNTS))]
