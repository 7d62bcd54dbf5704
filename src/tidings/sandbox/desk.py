"""What all vendors share: they take messages, and go wrong when they should."""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tidings.sandbox.faults import NONE, Faults, Mishap, drawn
from tidings.sandbox.magic import AT_THE_DOOR, Fate
from tidings.sandbox.messages import Kept, Sent
from tidings.sandbox.telling import Teller

PATIENCE = 120.0
"""Seconds for which a call that is not to be answered is held at the most."""
_REMEMBERED = 10_000
_Memory: TypeAlias = OrderedDict[tuple[str, str], None]


class Refused(Exception):
    """A message is not taken, because of what its recipient is for."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(fate.value)
        self.fate = fate


class Desk:
    """What all vendors share: takes messages, and makes go wrong what should."""

    def __init__(
        self,
        kept: Kept,
        teller: Teller,
        clock: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self.kept = kept
        self.teller = teller
        self.faults: dict[str, Faults] = {}
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - failures, not secrets
        self._turns: _Memory = OrderedDict()
        self._known: _Memory = OrderedDict()

    def take(self, messages: Sequence[Sent]) -> None:
        """Keep them, and let happen what has to. Raises Refused for what waits for its second turn."""
        for sent in messages:
            for recipient, fate in zip(sent.recipients, sent.fates, strict=False):
                if fate in AT_THE_DOOR and self._first_turn(sent.vendor, recipient):
                    raise Refused(fate)
        now = self._clock()
        for sent in messages:
            if sent.once and not self._unknown((sent.vendor, sent.message_id)):
                continue
            self.kept.add(sent, now)
            self.teller.plan(sent)

    async def mishap(self, vendor: str) -> Mishap | None:
        """What happens to a call by the faults that are set, after the wait that they ask for."""
        faults = self.faults.get(vendor, NONE)
        if faults.slow and self._chance.random() < faults.slow:
            await asyncio.sleep(faults.seconds)
        return drawn(faults, self._chance)

    def _first_turn(self, vendor: str, recipient: str) -> bool:
        turn = (vendor, recipient)
        if turn in self._turns:
            del self._turns[turn]
            return False
        return _remember(self._turns, turn)

    def _unknown(self, message: tuple[str, str]) -> bool:
        return message not in self._known and _remember(self._known, message)


def _remember(memory: _Memory, one: tuple[str, str]) -> bool:
    memory[one] = None
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
    return True
