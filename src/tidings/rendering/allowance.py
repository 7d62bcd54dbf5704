"""What one rendering may cost: a number of steps, a size, and a time of the processor.

Editors may be hostile. Every place where a template could make much out of little (loops, calls,
filters, operators, collected text) takes its cost from one budget, so that no thread and no signal is
needed to stop it.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from jinja2.runtime import Context, Undefined

MAX_OUTPUT = 1_000_000
"""Characters that one rendered field, or one value on the way to it, may have."""
MAX_STEPS = 250_000
"""Iterations, calls and filters of one field; larger values count as several."""
MAX_SECONDS = 1.0
"""Of the processor, for one field."""
MAX_WIDTH = 10_000
"""The largest number that a filter or a method takes, such as a width."""
MAX_BITS = 4_096
"""Of a whole number that a template computes."""

KEY = " budget"
"""Its name among the variables: with a space, so that no template can write it."""

_LOOK_AT_THE_CLOCK = 64
_CHARACTERS_A_STEP = 64
_WIDTH = re.compile(r"\d{4,}|\*")


class LimitExceededError(Exception):
    """The message names the limit and never shows the data."""


class NotPrintableError(Exception):
    """A function stands where a value is needed."""


class FilterFailedError(Exception):
    """A filter cannot work with what it was given. The message names it, and never shows the data. of_kind: as in
    RenderingError."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"the filter {name!r} does not take this value ({type(error).__name__})")
        self.of_kind = is_of_kind(error)


def is_of_kind(error: Exception) -> bool:
    """Whether it tells of the kind of a value, such as a list where a number is needed."""
    return isinstance(error, TypeError | AttributeError)


class Budget:
    """Of one field's rendering."""

    __slots__ = ("_look", "_until", "left")

    def __init__(self) -> None:
        self.left = MAX_STEPS
        self._look = MAX_STEPS - _LOOK_AT_THE_CLOCK
        self._until = 0.0  # looked up after the first steps: most fields end before

    def spend(self, steps: int = 1) -> None:
        """Raises LimitExceededError."""
        self.left -= steps
        if self.left < self._look:
            self._look = self.left - _LOOK_AT_THE_CLOCK
            if self.left < 0:
                raise LimitExceededError(f"over {MAX_STEPS} steps")
            now = time.thread_time()
            self._until = self._until or now + MAX_SECONDS
            if now > self._until:
                raise LimitExceededError(f"over {MAX_SECONDS:g} s of computing")


def spend_for(budget: Budget, value: object) -> None:
    """Take the cost of a value that a template made. Raises LimitExceededError."""
    if isinstance(value, str):
        check_length(len(value))
        budget.spend(1 + len(value) // _CHARACTERS_A_STEP)
    elif isinstance(value, int | float) or value is None or callable(value):
        budget.spend()
    else:
        _weigh(budget, value)


def _weigh(budget: Budget, value: object) -> None:
    size = 0
    for one in _walked(value):
        budget.spend()
        if isinstance(one, str):
            size += len(one)
            check_length(size)
            budget.spend(len(one) // _CHARACTERS_A_STEP)


def size_of(value: object) -> int:
    """Of its texts in characters; each number counts as one. Raises LimitExceededError."""
    size = 0
    for one in _walked(value):
        size += len(one) if isinstance(one, str) else 1
        check_length(size)
    return size


def _walked(value: object) -> Iterator[object]:
    """It and all that it holds, as printing or comparing it would walk: lists that hold the same list many times
    cost what they would cost then."""
    inside = [iter((value,))]
    while inside:
        for one in inside[-1]:
            yield printable(one)
            if isinstance(one, list | tuple | set):
                inside.append(iter(one))
                break
            if isinstance(one, Mapping):
                inside.append(chain(one, one.values()))
                break
        else:
            inside.pop()


def printable(value: Any) -> Any:
    """What is about to be printed, alone or in a list. `{{ order.items }}` is the method of this name where the data
    has none, and nobody wants to read what Python calls it. Raises NotPrintableError."""
    if callable(value) and not isinstance(value, Undefined):
        raise NotPrintableError("a function is printed, not what it gives")
    return value


def counted(budget: Budget, values: Iterable[Any]) -> Iterator[Any]:
    """The same values, each for a step."""
    for value in values:
        budget.spend()
        yield value


def joined(pieces: Iterable[str]) -> str:
    """The pieces as one text. Raises LimitExceededError as soon as they are too long: each may be an escaped copy of
    something large."""
    whole: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_OUTPUT:
            check_length(size)
        whole.append(piece)
    return "".join(whole)


def check_length(characters: int) -> None:
    if characters > MAX_OUTPUT:
        raise LimitExceededError(f"over {MAX_OUTPUT} characters")


def check_pattern(pattern: str) -> None:
    """Of printf and its like. Raises LimitExceededError."""
    if _WIDTH.search(pattern):
        raise LimitExceededError("a width over 999 in a format")


def budget_of(context: Context) -> Budget:
    found = context.parent.get(KEY)
    if not isinstance(found, Budget):
        raise LimitExceededError("rendered without a budget")
    return found
