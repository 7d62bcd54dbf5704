"""What reached the sink: every reference once, doubles, and how long each took."""

import math
import re
from collections import Counter
from typing import Any

import orjson

_MARK = re.compile(rb"\[([\w-]{1,60}):(\d{1,19})\]")
_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*(\S+)")

Mark = tuple[str, int]
"""A request's reference, and when it was asked for in microseconds of Unix time."""


def mark_of_webhook(body: bytes) -> Mark | None:
    """The mark in an event's `data`; None when the body is not such an event."""
    try:
        payload = orjson.loads(body)["data"]
        return payload["ref"], int(payload["t"])
    except (ValueError, KeyError, TypeError):
        return None


def mark_of_message(message: bytes) -> tuple[Mark | None, str]:
    """The mark in a message's subject, and its Message-ID (empty when there is none)."""
    head = message[:end] if (end := message.find(b"\r\n\r\n")) >= 0 else message
    mark, message_id = _MARK.search(head), _MESSAGE_ID.search(head)
    return (
        (mark[1].decode(), int(mark[2])) if mark else None,
        message_id[1].decode("ascii", "replace") if message_id else "",
    )


class Arrivals:
    """Counts for one run; what carries another run's reference is foreign: a late double, say.

    The first arrival of a reference gives its latency. Message ids (webhook-id, Message-ID) are counted
    apart: one reference under two of them was accepted twice, not sent twice.
    """

    def __init__(self, run: str = "") -> None:
        self.run = run
        self._prefix = f"{run}-" if run else ""
        self.latencies: dict[str, int] = {}
        self.message_ids: Counter[str] = Counter()
        self.total = self.doubled = self.foreign = self.unmarked = 0
        self.first_us = self.last_us = 0

    def note(self, mark: Mark | None, message_id: str, now_us: int) -> None:
        self.total += 1
        self.first_us = self.first_us or now_us
        self.last_us = now_us
        if mark is None:
            self.unmarked += 1
            return
        reference, asked_us = mark
        if not reference.startswith(self._prefix):
            self.foreign += 1
        elif reference in self.latencies:
            self.doubled += 1
        else:
            self.latencies[reference] = now_us - asked_us
        self.message_ids[message_id] += 1

    def statistics(self) -> dict[str, Any]:
        """Counts; latencies in milliseconds, None when nothing arrived."""
        ordered = sorted(self.latencies.values())
        return {
            "run": self.run,
            "total": self.total,
            "unique": len(self.latencies),
            "doubled": self.doubled,
            "foreign": self.foreign,
            "unmarked": self.unmarked,
            "message_ids": len(self.message_ids),
            "first_us": self.first_us,
            "last_us": self.last_us,
            "p50_ms": percentile_ms(ordered, 0.50),
            "p90_ms": percentile_ms(ordered, 0.90),
            "p99_ms": percentile_ms(ordered, 0.99),
            "max_ms": percentile_ms(ordered, 1.0),
        }


def percentile_ms(ordered_us: list[int], fraction: float) -> float | None:
    """The nearest-rank percentile of sorted microseconds, in milliseconds; None of nothing."""
    if not ordered_us:
        return None
    rank = max(1, math.ceil(fraction * len(ordered_us)))
    return round(ordered_us[rank - 1] / 1000, 3)
