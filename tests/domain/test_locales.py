"""Language tags and their fallbacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.locales import canonical, chosen, fallbacks


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("de", "de"),
        ("DE_at", "de-AT"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("fil", "fil"),
    ],
)
def test_one_way_to_write_a_tag(tag: str, expected: str) -> None:
    assert canonical(tag) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    "tag", ["", "d", "german", "de-", "de-A", "de-AT-x", "../de", "de AT", "de\n"]
)
def test_what_is_no_tag(tag: str) -> None:
    with pytest.raises(ValueError, match="language tag"):
        canonical(tag)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (None, []),
        ("de-AT", ["de-AT", "de"]),
        ("zh_hant_TW", ["zh-Hant-TW", "zh-Hant", "zh"]),
        ("de-DE-1996", ["de-DE-1996", "de-DE", "de"]),
    ],
)
def test_from_the_exact_to_the_general(tag: str | None, expected: list[str]) -> None:
    assert list(fallbacks(tag)) == expected


def test_the_nearest_is_chosen() -> None:
    there = {"de", "de-CH", "ar"}
    assert chosen("de-AT", there) == "de"
    assert chosen("de_ch", there) == "de-CH"
    assert chosen("ar-EG", there) == "ar"
    assert chosen("fr", there) is None
    assert chosen(None, there) is None


@given(
    st.from_regex(r"\A[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}\Z"),
    st.sets(st.sampled_from(["de", "en"])),
)
def test_whatever_a_recipient_may_have(tag: str, there: set[str]) -> None:
    found = chosen(tag, there)
    assert found is None or tag.lower().startswith(found)
