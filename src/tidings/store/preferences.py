"""What users choose to be told, where and when; and who changed that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import orjson

from tidings.domain import ids
from tidings.domain.categories import Cadence
from tidings.domain.hours import WEEKDAYS
from tidings.domain.preferences import NO_PREFERENCES, Choices, DigestTime, Preferences
from tidings.domain.quiet_hours import QuietHours
from tidings.store.database import Connection, Reader
from tidings.store.hours import hours_document, read_hours

Source = Literal["api", "page", "unsubscribe"]

_CADENCES = {one.value: one for one in Cadence}

COLUMN = """CASE WHEN p.user_id IS NOT NULL THEN
  json_build_array(p.channels, p.categories, p.templates, p.quiet_hours, p.digests, p.tracking)::text END AS preferences"""
"""SQL for a query of preferences `p`: what `parsed` reads."""

# Many people choose alike: what was read once is not read again for each of them.
_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes preferences. api_key_id: with which key, where it came over the API."""

    source: Source
    api_key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PreferenceChange:
    """changes: path, as categories.news.email, with what was and what is; null for not chosen."""

    id: UUID
    source: Source
    api_key_id: UUID | None
    changes: Sequence[Mapping[str, Any]]

    @property
    def at(self) -> datetime:
        return ids.time_of(self.id)


async def fetch(connection: Reader, user_id: str) -> Preferences:
    row = await connection.fetchrow(
        f"SELECT {COLUMN} FROM preferences p WHERE user_id = $1", user_id
    )
    return NO_PREFERENCES if row is None else parsed(row["preferences"])


async def change(
    connection: Connection,
    user_id: str,
    edit: Callable[[Preferences], Preferences],
    author: Author,
) -> Preferences:
    """Make of the preferences what `edit` makes of them, and remember who did; what they are then. Changes of one
    user wait for each other, so that none is lost."""
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO preferences (user_id) VALUES ($1) ON CONFLICT DO NOTHING", user_id
        )
        row = await connection.fetchrow(
            f"SELECT {COLUMN} FROM preferences p WHERE user_id = $1 FOR UPDATE", user_id
        )
        assert row is not None
        before = parsed(row["preferences"])
        after = edit(before)
        if changes := _changes(before, after):
            await _write(connection, user_id, after)
            await connection.execute(
                "INSERT INTO preference_changes (user_id, source, api_key_id, changes) VALUES ($1, $2, $3, $4)",
                user_id,
                author.source,
                author.api_key_id,
                changes,
            )
    return after


async def history(
    connection: Reader, user_id: str, *, before: UUID | None, limit: int
) -> list[PreferenceChange]:
    """The newest first, below the id `before`."""
    rows = await connection.fetch(
        """SELECT id, source, api_key_id, changes FROM preference_changes
           WHERE user_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
           ORDER BY id DESC LIMIT $3""",
        user_id,
        before,
        limit,
    )
    return [PreferenceChange(**row) for row in rows]


def parsed(stored: str | None) -> Preferences:
    """Choices as the column holds them; None where there are none. Those who chose alike share them."""
    return NO_PREFERENCES if stored is None else _parsed(stored)


@lru_cache(_REMEMBERED)
def _parsed(stored: str) -> Preferences:
    channels, categories, templates, quiet_hours, digests, tracking = orjson.loads(stored)
    digests = digests or {}
    return Preferences(
        # As they are: a channel equals its name, also as a key.
        channels=channels,
        categories=categories,
        templates=templates or {},
        quiet_hours=read_hours(QuietHours, quiet_hours),
        digests={name: _CADENCES[how] for name, how in digests.get("categories", {}).items()},
        digest_time=_read_digest_time(digests),
        tracking=tracking,
    )


async def _write(connection: Connection, user_id: str, preferences: Preferences) -> None:
    await connection.execute(
        """UPDATE preferences SET channels = $2, categories = $3, templates = $4, quiet_hours = $5, digests = $6,
             tracking = $7, updated_at = now() WHERE user_id = $1""",
        user_id,
        dict(preferences.channels),
        _document(preferences.categories),
        _document(preferences.templates) or None,
        hours_document(preferences.quiet_hours),
        _digests_document(preferences),
        preferences.tracking,
    )


def _read_digest_time(stored: Mapping[str, Any]) -> DigestTime:
    if "at" not in stored:
        return NO_PREFERENCES.digest_time
    return DigestTime(time.fromisoformat(stored["at"]), WEEKDAYS.index(stored["weekday"]))


def _document(choices: Mapping[str, Choices]) -> dict[str, Any]:
    return {name: dict(one) for name, one in choices.items()}


def _digests_document(preferences: Preferences) -> dict[str, Any] | None:
    document: dict[str, Any] = {}
    if preferences.digests:
        document["categories"] = dict(preferences.digests)
    if preferences.digest_time != DigestTime():
        document["at"] = preferences.digest_time.at.strftime("%H:%M")
        document["weekday"] = WEEKDAYS[preferences.digest_time.weekday]
    return document or None


def _changes(before: Preferences, after: Preferences) -> list[dict[str, Any]]:
    old, new = _fields(before), _fields(after)
    return [
        {"path": path, "before": old.get(path), "after": new.get(path)}
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _fields(preferences: Preferences) -> dict[str, Any]:
    """Every choice by its path."""
    found: dict[str, Any] = {
        f"channels.{channel}": wanted for channel, wanted in preferences.channels.items()
    }
    for where in ("categories", "templates"):
        for name, choices in getattr(preferences, where).items():
            found |= {f"{where}.{name}.{channel}": one for channel, one in choices.items()}
    found |= {f"digests.{name}": str(how) for name, how in preferences.digests.items()}
    if preferences.tracking is not None:
        found["tracking"] = preferences.tracking
    if preferences.quiet_hours is not None:
        found["quiet_hours"] = hours_document(preferences.quiet_hours)
    if preferences.digest_time != DigestTime():
        when = preferences.digest_time
        found["digest_time"] = {
            "at": when.at.strftime("%H:%M"),
            "weekday": WEEKDAYS[when.weekday],
        }
    return found
