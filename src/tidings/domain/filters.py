"""Filters: which users belong to a segment, said in JSON and checked before it is used.

A filter is a condition on one attribute, {"attribute": "plan", "is": "pro"}, or filters put together:
{"all": […]}, {"any": […]}, {"none": […]} and {"not": …}. A user who does not have the attribute fulfils no
condition on it but {"exists": false}.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from tidings.domain.messages import JSON

MAX_DEPTH = 8
MAX_CONDITIONS = 100
MAX_CHOICES = 1_000
MAX_TEXT = 1_000
_MAX_LIST = 100
_MAX_ERRORS = 20
_MAX_AWAY = 36_500  # days: a hundred years

# RFC 3339, or a day alone, which is its first moment in UTC.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)

Instead = TypeVar("Instead")


class AttributeType(StrEnum):
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    STRINGS = "strings"


BUILT_IN: Mapping[str, AttributeType] = {
    "locale": AttributeType.STRING,
    "timezone": AttributeType.STRING,
    "created_at": AttributeType.DATE,
    "topics": AttributeType.STRINGS,
}
"""Attributes that every user has without a declaration."""

Value = str | int | float | bool | datetime | timedelta | tuple[str | int | float, ...]
"""What a condition compares with. A timedelta is from the moment at which the filter is used."""


@dataclass(frozen=True, slots=True)
class Condition:
    attribute: str
    type: AttributeType
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class All:
    parts: Sequence["Filter"]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: Sequence["Filter"]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Filter"


Filter = Condition | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Mistake:
    """path: dotted, from the filter's root, which is empty."""

    path: str
    message: str


class WrongFilterError(Exception):
    """The filter cannot be used; mistakes, at least one."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(f"{one.path or 'filter'}: {one.message}" for one in mistakes))
        self.mistakes = mistakes


def read(document: JSON, declared: Mapping[str, AttributeType]) -> Filter:
    """The filter that a JSON document says. Raises WrongFilterError."""
    reader = _Reader({**declared, **BUILT_IN})
    found = reader.filter(document, (), 1)
    if reader.mistakes:
        raise WrongFilterError(reader.mistakes[:_MAX_ERRORS])
    return found


def attributes_of(document: JSON) -> Iterator[str]:
    """The names of attributes that a filter, once found right, speaks of."""
    if isinstance(document, list):
        for part in document:
            yield from attributes_of(part)
    elif isinstance(document, dict):
        if isinstance(name := document.get("attribute"), str):
            yield name
            return
        for part in document.values():
            yield from attributes_of(part)


def stored(kind: AttributeType, value: JSON) -> JSON:
    """A user's value in the form in which filters find it; None for one that is not of the type."""
    if kind is AttributeType.STRING:
        return value if _is_text(value) else None
    if kind is AttributeType.NUMBER:
        return value if _is_number(value) else None
    if kind is AttributeType.BOOLEAN:
        return value if isinstance(value, bool) else None
    if kind is AttributeType.DATE:
        moment = _moment(value)
        return None if moment is None else as_text(moment)
    if isinstance(value, list) and len(value) <= _MAX_LIST and all(map(_is_text, value)):
        return value
    return None


def declared_values(
    attributes: Mapping[str, JSON], declared: Mapping[str, AttributeType]
) -> dict[str, JSON]:
    """Of a user's attributes those that are declared and of their type."""
    found = {
        name: stored(kind, attributes[name])
        for name, kind in declared.items()
        if name in attributes
    }
    return {name: value for name, value in found.items() if value is not None}


def as_text(moment: datetime) -> str:
    """In UTC and of one length, so that the texts are in the order of the moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_COMPOSED = ("all", "any", "none", "not")
_NOTHING = All(())


class _Reader:
    """Reads on behind a mistake, so that all are named at once."""

    def __init__(self, known: Mapping[str, AttributeType]) -> None:
        self._known = known
        self._conditions = 0
        self.mistakes: list[Mistake] = []

    def filter(self, document: JSON, path: tuple[str | int, ...], depth: int) -> Filter:
        if not isinstance(document, dict):
            return self._wrong(path, "must be an object", _NOTHING)
        if depth > MAX_DEPTH:
            return self._wrong(path, f"is more than {MAX_DEPTH} levels deep", _NOTHING)
        if "attribute" in document:
            return self._condition(document, path) or _NOTHING
        return self._composed(document, path, depth)

    def _composed(
        self, document: dict[str, JSON], path: tuple[str | int, ...], depth: int
    ) -> Filter:
        if len(document) != 1 or (word := next(iter(document))) not in _COMPOSED:
            message = "must have either `attribute`, or one of `all`, `any`, `none`, `not` alone"
            return self._wrong(path, message, _NOTHING)
        if word == "not":
            return Not(self.filter(document[word], (*path, word), depth + 1))
        parts = self._parts(document[word], (*path, word), depth)
        if word == "all":
            return All(parts)
        return AnyOf(parts) if word == "any" else Not(AnyOf(parts))

    def _parts(self, document: JSON, path: tuple[str | int, ...], depth: int) -> list[Filter]:
        if not isinstance(document, list) or not document:
            return self._wrong(path, "must be a list of at least one filter", [])
        if len(document) > MAX_CONDITIONS:
            return self._wrong(path, f"has more than {MAX_CONDITIONS} parts", [])
        return [
            self.filter(part, (*path, number), depth + 1) for number, part in enumerate(document)
        ]

    def _condition(
        self, document: dict[str, JSON], path: tuple[str | int, ...]
    ) -> Condition | None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            return self._wrong((), f"has more than {MAX_CONDITIONS} conditions", None)
        name = document["attribute"]
        if not isinstance(name, str) or name not in self._known:
            return self._wrong((*path, "attribute"), "is not a declared attribute", None)
        kind = self._known[name]
        operators = OPERATORS[kind]
        given = [word for word in document if word != "attribute"]
        if len(given) != 1 or given[0] not in operators:
            words = ", ".join(f"`{word}`" for word in operators)
            return self._wrong(path, f"must have one of {words} beside `attribute`", None)
        (word,) = given
        try:
            value = operators[word](document[word])
        except ValueError as error:
            return self._wrong((*path, word), str(error), None)
        return Condition(name, kind, word, value)

    def _wrong(self, path: tuple[str | int, ...], message: str, instead: Instead) -> Instead:
        """Note the mistake; what is read in its place."""
        self.mistakes.append(Mistake(".".join(map(str, path)), message))
        return instead


def _text(value: JSON) -> str:
    if not isinstance(value, str) or not _is_text(value):
        raise ValueError(f"must be a text of at most {MAX_TEXT} characters")
    return value


def _number(value: JSON) -> int | float:
    if not isinstance(value, int | float) or not _is_number(value):
        raise ValueError("must be a number")
    return value


def _flag(value: JSON) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - a mistake of the filter as any other
    return value


def _when(value: JSON) -> datetime | timedelta:
    """A moment, or so long before or after the one at which the filter is used."""
    if isinstance(value, dict) and len(value) == 1:
        ((unit, count),) = value.items()
        longest = _MAX_AWAY * (24 if unit.startswith("hours") else 1)
        if unit in _AWAY and isinstance(count, int) and not isinstance(count, bool):
            if 0 <= count <= longest:
                return _AWAY[unit] * count
            raise ValueError(f"{unit} must be from 0 to {longest}")
    elif (moment := _moment(value)) is not None:
        return moment
    units = ", ".join(f'{{"{unit}": 30}}' for unit in _AWAY)
    raise ValueError(f"must be a time such as 2026-05-01T00:00:00Z, a day, or {units}")


_AWAY: Mapping[str, timedelta] = {
    "days_ago": timedelta(days=-1),
    "hours_ago": timedelta(hours=-1),
    "days_ahead": timedelta(days=1),
    "hours_ahead": timedelta(hours=1),
}


def _one_of(read_one: Callable[[JSON], Any]) -> Callable[[JSON], Value]:
    def choices(value: JSON) -> Value:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHOICES:
            raise ValueError(f"must be a list of 1 to {MAX_CHOICES}")
        return tuple(read_one(one) for one in value)

    return choices


OPERATORS: Mapping[AttributeType, Mapping[str, Callable[[JSON], Value]]] = {
    AttributeType.STRING: {
        "is": _text,
        "in": _one_of(_text),
        "prefix": _text,
        "contains": _text,
        "exists": _flag,
    },
    AttributeType.NUMBER: {
        "is": _number,
        "in": _one_of(_number),
        "less": _number,
        "at_most": _number,
        "greater": _number,
        "at_least": _number,
        "exists": _flag,
    },
    AttributeType.BOOLEAN: {"is": _flag, "exists": _flag},
    AttributeType.DATE: {"before": _when, "after": _when, "exists": _flag},
    AttributeType.STRINGS: {"contains": _text, "exists": _flag},
}
"""What can be asked of each type, and how the value is read. Raises ValueError."""


def _is_text(value: JSON) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _moment(value: JSON) -> datetime | None:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value.upper())
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
