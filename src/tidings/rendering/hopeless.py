"""What fails whatever the data is, in any engine: found by trying a value of each kind."""

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import UndefinedError
from liquid.exceptions import UndefinedError as LiquidUndefinedError

from tidings.rendering.allowance import NotPrintableError

_SAMPLES: Sequence[Any] = (
    "Ann",
    "2030-01-31T09:30:00Z",
    "2030-01-31",
    "12.50",
    "QW5u",
    3,
    12.5,
    True,
    [1, 2],
    ["b", "a"],
    [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    {"a": 1, "b": 2},
)
"""One of each kind that JSON has, and of what filters take of texts: a name, times, an amount, base64."""


def works_with_any(attempt: Callable[[Any], object], *, whole: bool = False) -> bool:
    """Whether there is a kind of value with which it does not fail. whole: whether it fails, too, where a value has not
    what is asked of it; otherwise it may have with other data."""
    return any(_works(attempt, sample, whole=whole) for sample in _SAMPLES)


FAILS = "It fails, whatever the data is."


def no_value(name: str) -> str:
    """What is said of a filter that works with none."""
    return f"The filter {name!r} fails with what it is given here, whatever stands before it."


def not_with_this(name: str) -> str:
    """What is said of a filter that does not work with a value that stands in the source."""
    return f"The filter {name!r} does not work with what stands before it."


def _works(attempt: Callable[[Any], object], sample: Any, *, whole: bool) -> bool:
    try:
        attempt(sample)
    except (UndefinedError, LiquidUndefinedError):
        return not whole
    except NotPrintableError:
        return True
    except Exception:  # noqa: BLE001 - a filter can raise anything
        return False
    return True
