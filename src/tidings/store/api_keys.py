"""API keys: shown once, stored as a hash."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import uuid_utils.compat as uuids

from tidings.store.database import Connection, Pool, Record

_PREFIX = "tdg_"


class Role(StrEnum):
    """sender: sends and follows; editor: templates too; viewer: reads; admin: everything."""

    SENDER = "sender"
    EDITOR = "editor"
    VIEWER = "viewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """number: a small one for the queue's lanes."""

    id: UUID
    number: int
    name: str
    role: Role
    hint: str
    created_at: datetime
    revoked_at: datetime | None = None


def new_secret() -> str:
    """A key with 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """SHA-256 suffices: the key itself is random, so there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


async def create(connection: Connection, name: str, role: Role, secret: str) -> ApiKey:
    row = await connection.fetchrow(
        """INSERT INTO api_keys (id, name, role, hint, hash) VALUES ($1, $2, $3, $4, $5)
           RETURNING id, number, name, role, hint, created_at, revoked_at""",
        uuids.uuid7(),
        name,
        role.value,
        secret[: len(_PREFIX) + 4],
        hash_of(secret),
    )
    assert row is not None
    return _api_key(row)


async def listed(connection: Connection) -> list[ApiKey]:
    rows = await connection.fetch(
        "SELECT id, number, name, role, hint, created_at, revoked_at FROM api_keys ORDER BY id"
    )
    return [_api_key(row) for row in rows]


async def revoke(connection: Connection, key_id: UUID) -> bool:
    """False when there is no such key, or it was revoked before."""
    done = await connection.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", key_id
    )
    return bool(done == "UPDATE 1")


async def is_valid(connection: Connection, secret: str) -> bool:
    """Whether this key is known and not revoked."""
    found = await connection.fetchval(
        "SELECT 1 FROM api_keys WHERE hash = $1 AND revoked_at IS NULL", hash_of(secret)
    )
    return found is not None


class ApiKeyCache:
    """Keys by hash; forgets all when any key changes, which is rare."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[bytes, ApiKey] = {}
        self._changes = 0

    def forget(self, _payload: str) -> None:
        self._changes += 1
        self._known.clear()

    async def find(self, secret: str) -> ApiKey | None:
        """The key, unless it is unknown or revoked. Unknown ones are not remembered, so that nobody
        can fill the memory with guesses."""
        digest = hash_of(secret)
        known = self._known.get(digest)
        if known is None:
            changes = self._changes
            row = await self._pool.fetchrow(
                """SELECT id, number, name, role, hint, created_at, revoked_at FROM api_keys
                   WHERE hash = $1 AND revoked_at IS NULL""",
                digest,
            )
            if row is None:
                return None
            known = _api_key(row)
            # Revoked while we were reading? Then what we read must not be remembered.
            if changes == self._changes:
                self._known[digest] = known
        return known


def _api_key(row: Record) -> ApiKey:
    return ApiKey(
        row["id"],
        row["number"],
        row["name"],
        Role(row["role"]),
        row["hint"],
        row["created_at"],
        row["revoked_at"],
    )
