"""Numbers, money, times, plurals and lists as many languages write them, in both engines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel import dates, numbers
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.templates import EngineName
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError
from tidings.rendering.engines import ENGINES

FILTERS: dict[EngineName, dict[str, str]] = {
    "jinja": {
        "number": "{{ value | number }}",
        "percent": "{{ value | percent }}",
        "money": "{{ value | money(currency) }}",
        "date": "{{ value | date('full') }}",
        "time": "{{ value | time }}",
        "datetime": "{{ value | datetime('long') }}",
        "relative": "{{ value | relative }}",
        "listed": "{{ value | listed }}",
        "plural": "{{ value | plural('other', zero='zero', one='one', two='two', few='few', many='many') }}",
    },
    "liquid": {
        "number": "{{ value | number }}",
        "percent": "{{ value | percent }}",
        "money": "{{ value | money: currency }}",
        "date": "{{ value | date: 'full' }}",
        "time": "{{ value | time }}",
        "datetime": "{{ value | datetime: 'long' }}",
        "relative": "{{ value | relative }}",
        "listed": "{{ value | listed }}",
        "plural": "{{ value | plural: 'other', zero: 'zero', one: 'one', two: 'two', few: 'few', many: 'many' }}",
    },
}
FIELDS = {
    (engine, name): ENGINES[engine].field("sms.body", source)
    for engine, sources in FILTERS.items()
    for name, source in sources.items()
}
LOCALES = [
    "en",
    "en-IN",
    "de",
    "de-AT",
    "de-CH",
    "fr",
    "pt-BR",
    "pl",
    "ru",
    "ar",
    "he",
    "hi",
    "ja",
    "fa",
]
engines = st.sampled_from(list(ENGINES))
locales = st.sampled_from(LOCALES)
amounts = st.decimals(-(10**12), 10**12, places=4)


def shown(
    engine: EngineName,
    name: str,
    locale: str | None,
    value: Any,
    zone: str | None = None,
    **data: Any,
) -> str:
    reader = {"user_id": "u", "locale": locale, "timezone": zone}
    return FIELDS[engine, name].render(context_of({"value": value, **data}, reader))


@given(
    engines, locales, amounts, st.sampled_from(["EUR", "USD", "JPY", "KWD", "CHF", "XTS", "INR"])
)
def test_money_is_as_the_unicode_consortium_has_it(
    engine: EngineName, locale: str, amount: Decimal, currency: str
) -> None:
    tag = locale.replace("-", "_")
    expected = numbers.format_currency(amount, currency, locale=tag)
    found = shown(engine, "money", locale, str(amount), currency=currency)
    # Babel leaves out the space between letters and figures.
    assert found.replace("\xa0", "") == expected.replace("\xa0", "")


@given(engines, locales, amounts)
def test_so_are_numbers(engine: EngineName, locale: str, amount: Decimal) -> None:
    tag = locale.replace("-", "_")
    assert shown(engine, "number", locale, str(amount)) == numbers.format_decimal(
        amount, locale=tag
    )
    assert shown(engine, "percent", locale, str(amount)) == numbers.format_percent(
        amount, locale=tag
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("locale", "amount", "currency", "expected"),
    [
        ("en", 1234.5, "EUR", "€1,234.50"),
        ("de", 1234.5, "EUR", "1.234,50\xa0€"),
        ("de-AT", 1234.5, "EUR", "€\xa01.234,50"),
        ("fr", "1234.5", "EUR", "1\u202f234,50\xa0€"),
        ("ja", 1234.5, "JPY", "￥1,234"),
        ("en-IN", 1234567, "INR", "₹12,34,567.00"),
        ("de", -0.005, "EUR", "-0,00\xa0€"),
        ("en", "0.1", "KWD", "KWD\xa00.100"),
        ("en", -12, "CHF", "-CHF\xa012.00"),
        ("de-CH", 12, "CHF", "CHF\xa012.00"),
        ("pl", 12, "PLN", "12,00\xa0zł"),
        (None, 3, "USD", "$3.00"),
        ("xx-none", 3, "USD", "$3.00"),
    ],
)
def test_money(
    engine: EngineName, locale: str | None, amount: Any, currency: str, expected: str
) -> None:
    assert shown(engine, "money", locale, amount, currency=currency) == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("locale", "forms"),
    [
        ("en", {0: "other", 1: "one", 2: "other", 1.5: "other"}),
        ("fr", {0: "one", 1: "one", 2: "other", 1.5: "one"}),
        ("pl", {1: "one", 2: "few", 5: "many", 12: "many", 22: "few", 1.5: "other"}),
        ("ru", {1: "one", 3: "few", 5: "many", 11: "many", 21: "one"}),
        ("ar", {0: "zero", 1: "one", 2: "two", 3: "few", 11: "many", 100: "other"}),
        ("he", {1: "one", 2: "two", 3: "other"}),
        ("ja", {0: "other", 1: "other", 5: "other"}),
    ],
)
def test_plurals(engine: EngineName, locale: str, forms: dict[float, str]) -> None:
    assert {value: shown(engine, "plural", locale, value) for value in forms} == forms


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("locale", "zone", "date", "time"),
    [
        ("en", "America/New_York", "Sunday, March 29, 2026", "8:30\u202fPM"),
        ("en-GB", "Europe/London", "Monday, 30 March 2026", "01:30"),
        ("de", "Europe/Berlin", "Montag, 30. März 2026", "02:30"),
        ("fr", "Asia/Kathmandu", "lundi 30 mars 2026", "06:15"),
        ("ja", "Asia/Tokyo", "2026年3月30日月曜日", "9:30"),
        ("de", None, "Montag, 30. März 2026", "00:30"),
        ("de", "No/Where", "Montag, 30. März 2026", "00:30"),
    ],
)
def test_a_moment_is_told_where_its_reader_is(
    engine: EngineName, locale: str, zone: str | None, date: str, time: str
) -> None:
    moments: list[Any] = ["2026-03-30T00:30:00Z", "2026-03-30T02:30:00+02:00", 1774830600]
    for moment in moments:
        assert shown(engine, "date", locale, moment, zone) == date
        assert shown(engine, "time", locale, moment, zone) == time


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Tokyo", "America/St_Johns", "Europe", "../x"]
)
def test_a_time_without_an_offset_is_that_of_the_reader_already(
    engine: EngineName, zone: str
) -> None:
    assert shown(engine, "time", "de", "2026-01-01T10:00:00", zone) == "10:00"


@given(
    engines,
    locales,
    st.datetimes(datetime(1980, 1, 1), datetime(2080, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Tehran"]),
)
def test_moments_are_as_the_unicode_consortium_has_them(
    engine: EngineName, locale: str, moment: datetime, zone: str
) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    here = moment.astimezone(ZoneInfo(zone))
    expected = dates.format_datetime(here, "long", ZoneInfo(zone), locale.replace("-", "_"))
    assert shown(engine, "datetime", locale, moment.isoformat(), zone) == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("locale", "ahead", "ago"),
    [
        ("en", "in 3 days", "3 days ago"),
        ("de", "in 3 Tagen", "vor 3 Tagen"),
        ("fr", "dans 3 jours", "il y a 3 jours"),
        ("he", "בעוד 3 ימים", "לפני 3 ימים"),
        ("ja", "3 日後", "3 日前"),
        ("pl", "za 3 dni", "3 dni temu"),
    ],
)
def test_relative_times(engine: EngineName, locale: str, ahead: str, ago: str) -> None:
    """Half an hour is room for whatever the machine does meanwhile."""
    now = datetime.now(UTC)
    room = timedelta(minutes=30)
    assert shown(engine, "relative", locale, (now + timedelta(days=3) + room).isoformat()) == ahead
    assert shown(engine, "relative", locale, (now - timedelta(days=3) - room).isoformat()) == ago


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", "a, b, and c"),
        ("en-GB", "a, b and c"),
        ("de", "a, b und c"),
        ("ja", "a、b、c"),
        ("he", "a, b וc"),
    ],
)
def test_lists(engine: EngineName, locale: str, expected: str) -> None:
    assert shown(engine, "listed", locale, ["a", "b", "c"]) == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("money", "12,5"),
        ("money", True),
        ("money", None),
        ("money", []),
        ("number", "NaN"),
        ("number", "1e999"),
        ("plural", "two"),
        ("date", "tomorrow"),
        ("date", False),
        ("time", {}),
        ("relative", "2026-13-01T00:00:00Z"),
    ],
)
def test_what_is_no_number_and_no_time_is_refused(
    engine: EngineName, name: str, value: Any
) -> None:
    with pytest.raises(RenderingError) as caught:
        shown(engine, name, "en", value, currency="EUR")
    assert repr(value) not in caught.value.detail
