"""The caches of API keys and templates, when something changes just while they read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tidings.store.api_keys import ApiKeyCache
from tidings.store.templates import TemplateCache

pytestmark = pytest.mark.anyio


class Database:
    """Answers with what is stored, and lets something happen before the answer arrives."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row: dict[str, Any] | None = row
        self.meanwhile: Callable[[], None] = lambda: None
        self.reads = 0

    async def fetchrow(self, *_: object) -> dict[str, Any] | None:
        self.reads += 1
        row = self.row
        self.meanwhile()
        return row


def key_row() -> dict[str, Any]:
    return {
        "id": uuid4(),
        "number": 1,
        "name": "n",
        "role": "admin",
        "hint": "tdg_",
        "created_at": datetime.now(UTC),
        "revoked_at": None,
    }


def template_row(version: int) -> dict[str, Any]:
    return {
        "template_id": "note",
        "version": version,
        "name": "n",
        "category": "c",
        "on_unknown": "resend",
        "deduplicate_seconds": None,
        "digest": None,
        "content": {},
        "locale": None,
        "locales": {},
        "variables": None,
        "sample": None,
        "shared": [],
        "engine": "jinja",
        "track_opens": None,
        "track_clicks": None,
        "created_at": datetime.now(UTC),
        "published_at": datetime.now(UTC),
    }


async def test_a_key_is_read_once() -> None:
    database: Any = Database(key_row())
    cache = ApiKeyCache(database)
    assert await cache.find("secret") == await cache.find("secret")
    assert database.reads == 1


async def test_a_key_revoked_while_it_is_read_is_not_remembered() -> None:
    database: Any = Database(key_row())
    cache = ApiKeyCache(database)

    def revoked() -> None:
        database.row = None
        cache.forget("some id")

    database.meanwhile = revoked
    await cache.find("secret")
    assert await cache.find("secret") is None


async def test_unknown_keys_are_not_remembered() -> None:
    database: Any = Database(key_row())
    cache = ApiKeyCache(database)
    database.row = None
    assert await cache.find("guess") is None
    database.row = key_row()
    assert await cache.find("guess") is not None


async def test_a_template_changed_while_it_is_read_is_not_remembered() -> None:
    database: Any = Database(template_row(1))
    cache = TemplateCache(database)

    def changed() -> None:
        database.row = template_row(2)
        cache.forget("note")

    database.meanwhile = changed
    await cache.find("note")
    database.meanwhile = lambda: None
    found = await cache.find("note")
    assert found is not None
    assert found.version == 2


async def test_one_change_forgets_one_template_and_a_reconnection_all() -> None:
    database: Any = Database(template_row(1))
    cache = TemplateCache(database)
    await cache.find("note")
    cache.forget("other")
    await cache.find("note")
    assert database.reads == 1
    cache.forget("note")
    await cache.find("note")
    assert database.reads == 2
    cache.forget("")
    await cache.find("note")
    assert database.reads == 3


async def test_a_full_cache_begins_anew() -> None:
    database: Any = Database(template_row(1))
    cache = TemplateCache(database, limit=2)
    for name in ("a", "b", "c"):
        await cache.find(name)
    assert cache.known("c") is not None
    assert cache.known("a") is None
