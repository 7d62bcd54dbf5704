"""Filters that write numbers, money, dates, times, plurals and lists as the recipient's language does.

Data comes as JSON: times are RFC 3339 texts or seconds since 1970, amounts are numbers or texts. The
rules are those of Unicode's CLDR, by Babel.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache, wraps
from typing import Any, Literal, Protocol

from babel import Locale, UnknownLocaleError, dates, lists, numbers
from jinja2 import Undefined, pass_context

from tidings.domain.send_times import zone_of
from tidings.rendering.allowance import check_pattern

LANGUAGE = " language"
"""The name among the variables of the locale that the content is written in; no template can write it."""


PLAIN = " plain"
"""The name among the variables that is there for text messages; no template can write it."""
_PLAIN_SIGNS = str.maketrans(
    {"\xa0": " ", "\u2009": " ", "\u202f": " ", "\u2019": "'", "\u2212": "-"}
)
"""What CLDR writes between figures and before a unit, and the GSM alphabet does not have."""


class Rendering(Protocol):
    """What the filters of each engine are given. parent: all names, with `recipient`."""

    @property
    def parent(self) -> Mapping[str, Any]: ...


Length = Literal["short", "medium", "long", "full"]


@lru_cache(maxsize=512)
def locale_of(tag: str) -> Locale | None:
    """The locale of a tag such as de-AT, or of the nearest one that CLDR knows; None for none."""
    parts = tag.replace("_", "-").split("-")
    while parts:
        try:
            return Locale.parse("-".join(parts), sep="-")
        except (UnknownLocaleError, ValueError):
            parts.pop()
    return None


def direction(tag: str) -> str:
    """ltr or rtl."""
    found = locale_of(tag)
    return found.text_direction if found else "ltr"


@lru_cache(maxsize=1_024)
def _chosen(content: str | None, recipient: str | None) -> Locale:
    """The recipient's own variant where it is of the content's language: an English text with German
    dates in it would be odd."""
    written = locale_of(content) if content else None
    theirs = locale_of(recipient) if recipient else None
    if theirs and (written is None or written.language == theirs.language):
        return theirs
    return written or Locale("en")


def _locale(context: Rendering) -> Locale:
    content = context.parent.get(LANGUAGE)
    return _chosen(content, context.parent["recipient"].get("locale"))


@lru_cache(maxsize=1_024)
def _zone(name: str | None) -> tzinfo:
    """Not Babel's, which are pytz's where that is installed: those know no summer time behind 2037, and give a time
    without an offset that of the last century."""
    return (zone_of(name) if name else None) or UTC


def _moment(value: Any, context: Rendering) -> datetime:
    if isinstance(value, Undefined):
        str(value)  # raises the error that names the variable
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = datetime.fromtimestamp(value, UTC)
    else:
        raise TypeError("not a time")
    zone = _zone(context.parent["recipient"].get("timezone"))
    return found.astimezone(zone) if found.tzinfo else found.replace(tzinfo=zone)


_LONGEST = 64
"""Characters of a number whose writing is remembered."""


def _figures(value: Any) -> str:
    """A number as the data has it."""
    if isinstance(value, Undefined):
        str(value)  # which raises the error that names the variable
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise TypeError("not a number")
    return str(value)


def _amount(figures: str) -> Decimal:
    try:
        found = Decimal(figures)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not found.is_finite() or abs(found.adjusted()) > 100:
        raise ValueError("not a number that can be written")
    return found


def _number(figures: str, decimals: int | None, locale: Locale) -> str:
    pattern = None if decimals is None else f"#,##0.{'0' * decimals}".rstrip(".")
    return numbers.format_decimal(_amount(figures), pattern, locale=locale)


def _money(figures: str, currency: str, locale: Locale) -> str:
    written: str = _money_pattern(currency, locale).apply(_amount(figures), locale)
    return written


# Babel takes 10 µs and more for each, and a message says the same in HTML and in text.
_known_number = lru_cache(maxsize=8_192)(_number)
_known_money = lru_cache(maxsize=8_192)(_money)


@lru_cache(maxsize=1_024)
def _money_pattern(currency: str, locale: Locale) -> numbers.NumberPattern:
    """The locale's pattern with the currency in it already: Babel would look its name up for each amount,
    which costs more than the writing."""
    plain = locale.currency_formats["standard"]
    symbol = numbers.get_currency_symbol(currency, locale)
    quoted = "'" + symbol.replace("'", "''") + "'" if "'" in symbol else symbol
    before = quoted + _gap(symbol[-1])
    after = _gap(symbol[0]) + quoted
    found: numbers.NumberPattern = copy(plain)
    found.prefix = tuple(
        one.replace("¤", before if one.endswith("¤") else quoted) for one in plain.prefix
    )
    found.suffix = tuple(
        one.replace("¤", after if one.startswith("¤") else quoted) for one in plain.suffix
    )
    found.frac_prec = (numbers.get_currency_precision(currency),) * 2
    return found


def _gap(neighbour: str) -> str:
    """What stands between a currency and a figure next to it: CHF 9.50, but $9.50 (UTS 35, currencySpacing), which
    Babel leaves out."""
    return "" if unicodedata.category(neighbour)[0] in "SZ" else "\xa0"


@pass_context
def number(context: Rendering, value: Any, decimals: int | None = None) -> str:
    """1234.5 as 1,234.5 or 1.234,5."""
    figures = _figures(value)
    write = _known_number if len(figures) <= _LONGEST else _number
    return write(figures, decimals, _locale(context))


@pass_context
def percent(context: Rendering, value: Any) -> str:
    """0.25 as 25%."""
    return numbers.format_percent(_amount(_figures(value)), locale=_locale(context))


@pass_context
def money(context: Rendering, value: Any, currency: str) -> str:
    """9.5 with EUR as €9.50 or 9,50 €."""
    if len(currency) != len("EUR"):
        raise ValueError("not a currency's code")
    figures = _figures(value)
    write = _known_money if len(figures) <= _LONGEST else _money
    return write(figures, currency, _locale(context))


@pass_context
def on_date(context: Rendering, value: Any, length: Length = "medium") -> str:
    """The day of a time, in the recipient's zone; a day alone is the same everywhere."""
    if isinstance(value, str) and len(value) == len("2030-01-31"):
        return dates.format_date(date.fromisoformat(value), length, locale=_locale(context))
    return dates.format_date(_moment(value, context).date(), length, locale=_locale(context))


def strftime(context: Rendering, value: Any, pattern: str) -> str:
    """As the pattern has it, in no language, in the recipient's zone. Raises LimitExceededError for large widths."""
    check_pattern(pattern)
    return _moment(value, context).strftime(pattern)


@pass_context
def at_time(context: Rendering, value: Any, length: Length = "short") -> str:
    """The time of day, in the recipient's zone."""
    moment = _moment(value, context)
    return dates.format_time(moment, length, tzinfo=moment.tzinfo, locale=_locale(context))


@pass_context
def on_date_at_time(context: Rendering, value: Any, length: Length = "medium") -> str:
    """Day and time, in the recipient's zone."""
    moment = _moment(value, context)
    return dates.format_datetime(moment, length, tzinfo=moment.tzinfo, locale=_locale(context))


@pass_context
def relative(context: Rendering, value: Any) -> str:
    """From now: 3 hours ago, in 2 days."""
    delta = _moment(value, context) - datetime.now(UTC)
    return dates.format_timedelta(delta, add_direction=True, locale=_locale(context))


@pass_context
def plural(context: Rendering, value: Any, other: str, **forms: str) -> str:
    """The form for a number by the language's rule (zero, one, two, few, many, other), in which # is
    the number."""
    amount = _amount(_figures(value))
    locale = _locale(context)
    form = forms.get(locale.plural_form(amount), other)
    return form.replace("#", numbers.format_decimal(amount, locale=locale))


@pass_context
def listed(context: Rendering, values: Iterable[Any], style: str = "standard") -> str:
    """Ann, Bob, and Cy."""
    names = [str(value) for value in values]
    return lists.format_list(names, style, locale=_locale(context))  # type: ignore[arg-type] # checked by Babel


def _for_channel(write: Callable[..., str]) -> Callable[..., str]:
    """In text messages without no-break spaces: one of them makes the whole text UCS-2, which has less than half the room."""

    @pass_context
    @wraps(write)
    def written(context: Rendering, *given: Any, **named: Any) -> str:
        text = write(context, *given, **named)
        return text.translate(_PLAIN_SIGNS) if PLAIN in context.parent else text

    return written


_BY_NAME: Mapping[str, Callable[..., str]] = {
    "number": number,
    "percent": percent,
    "money": money,
    "date": on_date,
    "time": at_time,
    "datetime": on_date_at_time,
    "relative": relative,
    "plural": plural,
    "listed": listed,
}

FORMATS: Mapping[str, Callable[..., Any]] = {
    name: _for_channel(one) for name, one in _BY_NAME.items()
}
