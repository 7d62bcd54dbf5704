"""How urgent a notification is. The number is the order in which work is claimed."""

from enum import IntEnum
from typing import Literal

PriorityWord = Literal["critical", "high", "medium", "low"]


class Priority(IntEnum):
    CRITICAL = 0
    HIGH = 1
    MEDIUM = 2
    LOW = 3

    @classmethod
    def of(cls, word: PriorityWord) -> "Priority":
        return cls[word.upper()]

    @property
    def word(self) -> PriorityWord:
        return _WORDS[self]


_WORDS: dict[Priority, PriorityWord] = {
    Priority.CRITICAL: "critical",
    Priority.HIGH: "high",
    Priority.MEDIUM: "medium",
    Priority.LOW: "low",
}
