"""Following a feed over any number of connections, as an app keeps its own copy of it."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import websockets

from tests.inbox.watchers import event_source, socket
from tests.support.system import System

WAYS: Sequence[Callable[..., Any]] = (event_source, socket)


class Copy:
    """What an app knows of a feed. Fails for a number that is missing or comes twice."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.counters: dict[str, int] = {}
        self.entries: dict[str, dict[str, bool]] = {}
        self.added: list[str] = []

    def apply(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "ready":
                assert self.number in {None, 0, event["number"]}
            case "closing" | "done":
                return
            case kind:
                # 0 is a feed that has not begun; its first change may have any number.
                assert self.number == 0 or event["number"] == (self.number or 0) + 1, self.number
                self._change(kind, event)
        self.number = event["number"]
        self.counters = event["counters"]

    def _change(self, kind: str, event: dict[str, Any]) -> None:
        for one in event.get("entries", ()):
            assert one["id"] not in self.entries
            self.added.append(one["body"])
            self.entries[one["id"]] = {"read": False, "seen": False, "archived": False}
        which = event.get("entry_ids", [])
        if event.get("all"):
            which = [key for key, one in self.entries.items() if not one["archived"]]
        sets = {
            "seen": {"seen": True},
            "read": {"read": True, "seen": True},
            "unread": {"read": False},
            "archived": {"archived": True},
            "unarchived": {"archived": False},
            "added": {},
        }[kind]
        for key in which:
            self.entries[key].update(sets)

    @property
    def counted(self) -> dict[str, int]:
        """The counters, from what is known of the entries."""
        shown = [one for one in self.entries.values() if not one["archived"]]
        return {
            "unread": sum(not one["read"] for one in shown),
            "unseen": sum(not one["seen"] for one in shown),
            "total": len(shown),
        }


async def follow(
    systems: Sequence[System],
    user_id: str,
    token: str,
    dice: random.Random,
    reconnects: int,
    goal: Mapping[str, int],
) -> Copy:
    """Over so many connections at least, to any of the systems by either way, each cut off at any moment; until it
    has the number that is the user's goal, once there is one."""
    copy, connections = Copy(), 0
    while connections <= reconnects or copy.number != goal.get(user_id):
        watch = dice.choice(WAYS)
        mark = "?" if watch is socket else "&"
        query = "" if copy.number is None else f"{mark}after={copy.number}"
        connections += 1
        with contextlib.suppress(EOFError, OSError, websockets.ConnectionClosed, TimeoutError):
            async with watch(dice.choice(systems), user_id, token, query) as watcher:
                await _some(watcher, copy, dice)
    return copy


async def _some(watcher: Any, copy: Copy, dice: random.Random) -> None:
    """For a moment, or a few events; what was read is kept, what was sent and not read is lost with the connection."""
    for _ in range(dice.randrange(4)):
        async with asyncio.timeout(dice.random() * 0.1):
            event = await watcher.next()
        copy.apply(event)
