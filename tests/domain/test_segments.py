"""Parts of text messages, as TS 23.038 and 23.040 count them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.segments import Segments, foreign_to_gsm, segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("gsm7", 0, 1)),
        ("a" * 160, Segments("gsm7", 160, 1)),
        ("a" * 161, Segments("gsm7", 161, 2)),
        ("a" * 306, Segments("gsm7", 306, 2)),
        ("a" * 307, Segments("gsm7", 307, 3)),
        ("€" * 80, Segments("gsm7", 160, 1)),
        ("€" * 81, Segments("gsm7", 162, 2)),
        # An escape and its character stay together: 152 and then 2 do not fit into 153.
        ("a" * 152 + "€" + "a" * 152, Segments("gsm7", 306, 3)),
        ("Grüße aus Köln!", Segments("gsm7", 15, 1)),
        ("`", Segments("ucs2", 1, 1)),
        ("ж" * 70, Segments("ucs2", 70, 1)),
        ("ж" * 71, Segments("ucs2", 71, 2)),
        ("ж" * 135, Segments("ucs2", 135, 3)),
        ("😀" * 35, Segments("ucs2", 70, 1)),
        ("ж" * 66 + "😀" + "ж" * 66, Segments("ucs2", 134, 3)),
        ("تم شحن طلبك", Segments("ucs2", 11, 1)),
    ],
)
def test_known_texts(text: str, expected: Segments) -> None:
    assert segments(text) == expected


@given(st.text())
def test_bounds(text: str) -> None:
    found = segments(text)
    alone, each = (160, 153) if found.encoding == "gsm7" else (70, 67)
    if found.parts == 1:
        assert found.units <= alone
    else:
        assert (found.parts - 1) * (each - 1) < found.units <= found.parts * each
    assert (found.encoding == "ucs2") == bool(foreign_to_gsm(text))
    if found.encoding == "ucs2":
        assert found.units == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(st.text(), st.text())
def test_a_longer_text_never_takes_fewer_parts(text: str, more: str) -> None:
    assert segments(text + more).parts >= segments(text).parts


def test_what_costs_the_narrow_alphabet_is_named() -> None:
    assert foreign_to_gsm("Hi “you” — ok 😀 “") == "“”—😀"
