"""Reading one field of an account by its manifest, from TOML (typed) or the environment (text)."""

import json
import math
import re
from collections.abc import Callable, Mapping

from pyreqwest.http import Url

from tidings.domain.provider import Field, FieldKind, FieldValue

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class WrongValueError(Exception):
    """The value does not fit; the text follows the field's name: what was seen, what is allowed."""


def read_value(field: Field, given: object) -> FieldValue:
    """The value of a field in its own type; its default when none is given. Raises WrongValueError.

    An empty text or list counts as not given.
    """
    if given in (None, "", [], ()):
        if field.required:
            raise WrongValueError(f" is required: {_rule(field)}")
        return field.default
    try:
        value = _READERS[field.kind](field, given)
    except (ValueError, TypeError):
        seen = "(hidden)" if field.secret else repr(given)
        raise WrongValueError(f": got {seen}; {_rule(field)}") from None
    return value


def _text(field: Field, given: object) -> str:
    if not isinstance(given, str) or "\0" in given:
        raise ValueError
    return given


def _whole_number(field: Field, given: object) -> int:
    if isinstance(given, str) and _WHOLE.fullmatch(given.strip()):
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError
    _in_range(field, given)
    return given


def _number(field: Field, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise TypeError
    number = float(given)
    if not math.isfinite(number):
        raise ValueError
    _in_range(field, number)
    return number


def _in_range(field: Field, number: float) -> None:
    low = -math.inf if field.minimum is None else field.minimum
    high = math.inf if field.maximum is None else field.maximum
    if not low <= number <= high:
        raise ValueError


def _yes_no(field: Field, given: object) -> bool:
    if isinstance(given, bool):
        return given
    word = given.strip().lower() if isinstance(given, str) else ""
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError


def _url(field: Field, given: object) -> str:
    text = _text(field, given).strip()
    url = Url(text)
    if url.scheme not in {"http", "https"} or url.username or url.password is not None:
        raise ValueError
    return text


def _choice(field: Field, given: object) -> str:
    if not isinstance(given, str) or given not in field.choices:
        raise ValueError
    return given


def _list(field: Field, given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        given = json.loads(given) if given.lstrip().startswith("[") else given.split(",")
    if not isinstance(given, list | tuple):
        raise TypeError
    items = tuple(_text(field, item).strip() for item in given)
    if not all(items) or (field.choices and not set(items) <= set(field.choices)):
        raise ValueError
    return items


_READERS: Mapping[FieldKind, Callable[[Field, object], FieldValue]] = {
    "text": _text,
    "whole_number": _whole_number,
    "number": _number,
    "yes_no": _yes_no,
    "url": _url,
    "choice": _choice,
    "list": _list,
}

_RULES: Mapping[FieldKind, str] = {
    "text": "a text",
    "whole_number": "a whole number",
    "number": "a number",
    "yes_no": "true or false",
    "url": "an http or https URL without credentials",
    "choice": "one",
    "list": "a list of texts, or one text with commas between them",
}


def _rule(field: Field) -> str:
    rule = "allowed is " + _RULES[field.kind]
    if field.choices:
        rule += " of " + ", ".join(field.choices)
    if field.minimum is not None and field.maximum is not None:
        rule += f" from {field.minimum:.10g} to {field.maximum:.10g}"
    elif field.minimum is not None:
        rule += f" of at least {field.minimum:g}"
    elif field.maximum is not None:
        rule += f" of at most {field.maximum:g}"
    return f"{rule} ({field.unit})" if field.unit else rule
