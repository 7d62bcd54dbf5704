"""What those who watch a feed are sent, over whatever carries it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from tidings.store.feeds import Change, Counters, Feed, Kind
from tidings.store.inbox import Entry


class Signal(StrEnum):
    """Events that are not changes. ready: the stream stands, and what comes after `number` follows. reset: what came
    in between is not kept any more, so the feed is to be loaded anew; the rest follows. closing: why it ends now."""

    READY = "ready"
    RESET = "reset"
    HEARTBEAT = "heartbeat"
    CLOSING = "closing"


class Closing(StrEnum):
    """Why a stream ends. After all of these, connect again with the last number; after token_expired, with a new
    token."""

    SHUTTING_DOWN = "shutting_down"
    TOO_SLOW = "too_slow"
    FAILED = "failed"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - not a token


@dataclass(frozen=True, slots=True)
class Event:
    """number: from which to go on after it; None where it changes nothing. data: JSON, on one line."""

    name: str
    number: int | None
    data: bytes

    @property
    def as_server_sent(self) -> bytes:
        identity = b"" if self.number is None else b"id: %d\n" % self.number
        return b"%sevent: %s\ndata: %s\n\n" % (identity, self.name.encode(), self.data)


def described(entry: Entry) -> dict[str, Any]:
    """An entry as the API shows it."""
    content = entry.content
    return {
        "id": entry.id,
        "category": entry.category,
        "title": content["title"],
        "body": content["body"],
        "url": content.get("url"),
        "created_at": entry.created_at,
        "seen_at": entry.seen_at,
        "read_at": entry.read_at,
        "archived_at": entry.archived_at,
    }


def of_change(change: Change, entries: Mapping[UUID, Entry]) -> dict[str, Any]:
    """entries: what is stored now; one that was added and is gone again is left out."""
    document: dict[str, Any] = {"event": change.kind, "number": change.number}
    if change.entry_ids is None:
        document["all"] = True
    elif change.kind is Kind.ADDED:
        document["entries"] = [
            described(entries[one]) for one in change.entry_ids if one in entries
        ]
    elif change.kind is not Kind.COUNTED:
        document["entry_ids"] = list(change.entry_ids)
    return {**document, "counters": asdict(change.counters)}


def changed(change: Change, entries: Mapping[UUID, Entry]) -> Event:
    return Event(change.kind, change.number, as_json(of_change(change, entries)))


def stands(signal: Signal, number: int, counters: Counters) -> Event:
    """ready or reset."""
    document = {"event": signal, "number": number, "counters": asdict(counters)}
    return Event(signal, number, as_json(document))


def heartbeat(number: int | None) -> Event:
    """number: of what was sent so far, so that who gets it can tell whether anything is missing."""
    return Event(Signal.HEARTBEAT, None, as_json({"event": Signal.HEARTBEAT, "number": number}))


def closing(why: Closing) -> Event:
    return Event(Signal.CLOSING, None, as_json({"event": Signal.CLOSING, "reason": why}))


def as_json(document: dict[str, Any]) -> bytes:
    """On one line, with times as the API writes them."""
    # The database's own kind of UUID is not one of those that orjson knows.
    return orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z)


def entries_of(feed: Feed) -> list[UUID]:
    """Those that its changes show."""
    return [
        one
        for change in feed.changes
        if change.kind is Kind.ADDED and change.entry_ids is not None
        for one in change.entry_ids
    ]
