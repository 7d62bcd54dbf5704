"""Countries of phone numbers."""

import pytest

from tidings.domain.phones import country_of


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+14155550100", "US"),
        ("+16475550100", "CA"),
        ("+442071234567", "GB"),
        ("+46701234567", "SE"),
        ("+77011234567", "KZ"),
        # A range that the plan does not have yet: the first country of the code.
        ("+15550001234", "US"),
        ("+390612345678", "IT"),
    ],
)
def test_countries(number: str, country: str) -> None:
    assert [country_of(number) for _ in range(2)] == [country, country]


@pytest.mark.parametrize(
    "number", ["", "4155550100", "+1 415 555 0100", "+1415", "+999123456789", "+0123", "+1415555x"]
)
def test_what_is_no_number(number: str) -> None:
    assert country_of(number) is None
