"""The sandbox's doors: what operators, filters and methods may do, and what they cost."""

from collections.abc import Callable, Generator, Mapping
from functools import wraps
from typing import Any

from jinja2 import UndefinedError, pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.utils import Cycler, Namespace, pass_eval_context
from markupsafe import Markup

from tidings.rendering.allowance import (
    MAX_BITS,
    MAX_WIDTH,
    FilterFailedError,
    LimitExceededError,
    NotPrintableError,
    budget_of,
    check_length,
    check_pattern,
    counted,
    printable,
    size_of,
    spend_for,
)

_SLOW = frozenset({"urlize", "wordwrap", "pprint", "striptags", "strip_html"})
_SLOW_INPUT = 20_000
_WITHHELD = frozenset({"random"})
"""What is rendered must be the same each time."""

METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        [
            "capitalize",
            "count",
            "endswith",
            "find",
            "index",
            "isalnum",
            "isalpha",
            "isascii",
            "isdecimal",
            "isdigit",
            "islower",
            "isnumeric",
            "isspace",
            "istitle",
            "isupper",
            "join",
            "lower",
            "lstrip",
            "partition",
            "removeprefix",
            "removesuffix",
            "replace",
            "rfind",
            "rpartition",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "upper",
            "casefold",
            "center",
            "ljust",
            "rjust",
            "zfill",
        ]
    ),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    int: frozenset(("bit_length", "real", "imag", "numerator", "denominator")),
    float: frozenset(("is_integer", "real", "imag")),
}
"""What a template may call of Python's own types; all else of them is out of reach."""


class QuietNamespace(Namespace):
    """Jinja2's prints what it holds, and may hold itself many times over."""

    def __repr__(self) -> str:
        return "<namespace>"


class QuietCycler(Cycler):
    """Jinja2's prints where in memory it is."""

    def __repr__(self) -> str:
        return "<cycler>"


def allowed(obj: object, name: str) -> bool:
    for kind, names in METHODS.items():
        if isinstance(obj, kind):
            return name in names
    return True


def operate(
    context: Context, operator: str, left: Any, right: Any, plain: Callable[..., Any]
) -> Any:
    """A binary operator, refused before it makes something huge. Raises LimitExceededError."""
    _check_operands(operator, left, right)
    result = plain(left, right)
    spend_for(budget_of(context), result)
    return result


def _check_operands(operator: str, left: Any, right: Any) -> None:
    if operator == "%" and isinstance(left, str):
        check_pattern(left)
        check_length(left.count("%") * size_of(right))
    elif operator == "**":
        if abs(right) > MAX_BITS or _bits(left) * abs(right) > MAX_BITS:
            raise LimitExceededError(f"a number over {MAX_BITS} bits")
    elif operator == "*":
        for sized, times in ((left, right), (right, left)):
            if isinstance(sized, str | list | tuple) and isinstance(times, int):
                check_length(len(sized) * max(times, 0))
        if _bits(left) + _bits(right) > MAX_BITS:
            raise LimitExceededError(f"a number over {MAX_BITS} bits")
    elif operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, type(left)):
        check_length(len(left) + len(right))


def _bits(value: object) -> int:
    return value.bit_length() if isinstance(value, int) else 1


def check_arguments(
    name: str, subject: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Before a filter or a method runs: widths are small, and products of texts are not huge."""
    given = (*args, *kwargs.values())
    printable(subject)
    for one in given:
        printable(one)
        if isinstance(one, int) and abs(one) > MAX_WIDTH:
            raise LimitExceededError(f"a number over {MAX_WIDTH} given to {name}")
    if name == "format":
        check_pattern(str(subject))
        check_length(str(subject).count("%") * size_of(given))
    elif name == "sum" and any(isinstance(one, list | tuple) for one in given):
        check_length(_length(subject) ** 2)  # each step copies all that came before
    elif name in ("replace", "join", "indent"):
        size = _length(subject)
        longest = max((len(one) for one in given if isinstance(one, str | list)), default=0)
        check_length(size * max(longest if name != "replace" else longest - 1, 0))
    elif name in _SLOW and isinstance(subject, str) and len(subject) > _SLOW_INPUT:
        raise LimitExceededError(f"over {_SLOW_INPUT} characters given to {name}")


def _length(value: object) -> int:
    return len(value) if hasattr(value, "__len__") else MAX_WIDTH


def guarded_filters() -> dict[str, Callable[..., Any]]:
    """Jinja2's filters, each behind a guard."""
    return {name: guard(name, plain) for name, plain in FILTERS.items() if name not in _WITHHELD}


def guard(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes its cost from the budget."""
    passed = getattr(plain, "jinja_pass_arg", None)

    @pass_context
    @wraps(plain)
    def guarded(context: Context, subject: Any, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        check_arguments(name, subject, args, kwargs)
        if isinstance(subject, Generator):
            subject = counted(budget, subject)
        try:
            result = plain(*_first(passed, context), subject, *args, **kwargs)
        except (UndefinedError, LimitExceededError, NotPrintableError, FilterFailedError):
            raise
        except Exception as error:  # noqa: BLE001 - a filter can raise anything, and its message may hold data
            raise FilterFailedError(name, error) from None
        if isinstance(result, Generator):
            return counted(budget, result)
        spend_for(budget, result)
        return result

    return guarded


def _first(passed: Any, context: Context) -> tuple[Any, ...]:
    kind = getattr(passed, "name", None)
    if kind == "context":
        return (context,)
    if kind == "eval_context":
        return (context.eval_ctx,)
    return (context.environment,) if kind == "environment" else ()


@pass_context
def counting(context: Context, values: Any) -> Any:
    """Around what a loop goes through."""
    if hasattr(values, "__len__") and len(values) < 1_000:
        budget_of(context).spend(1 + len(values))
        return values
    return counted(budget_of(context), values)


@pass_context
def measured(context: Context, value: Any) -> Any:
    """Around a value that a template puts together."""
    spend_for(budget_of(context), value)
    return value


@pass_eval_context
def concatenated(evaluation: Any, pieces: list[Any]) -> Any:
    """The operator `~`."""
    texts = [one if isinstance(one, Markup) else str(printable(one)) for one in pieces]
    check_length(sum(map(len, texts)))
    if evaluation.autoescape or any(isinstance(one, Markup) for one in texts):
        return Markup("").join(texts)
    return "".join(texts)
