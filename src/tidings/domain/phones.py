"""Phone numbers as the network writes them (E.164), and which country one is of."""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_REMEMBERED = 2_000
"""Numbers: a delivery asks twice, to choose an account and then a sender, with some hundred others between."""


@lru_cache(_REMEMBERED)
def country_of(number: str) -> str | None:
    """The country of a number in E.164 (ISO 3166, two letters); None when it cannot be a number.

    Only the length is held against the country's plan: ranges are opened faster than any copy of the
    plans is renewed. Where several countries share a code and the range tells nothing, the first one.
    """
    if not _E164.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    exact: str | None = phonenumbers.region_code_for_number(parsed)
    return exact or str(phonenumbers.region_code_for_country_code(parsed.country_code or 0))
