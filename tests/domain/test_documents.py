"""JSON documents that can be kept unchanged, and those that cannot."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.documents import MAX_DEPTH, check_document, check_text

keepable: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


def nested(depth: int) -> Any:
    document: Any = []
    for level in range(depth - 1):
        document = {"a": document} if level % 2 else [document]
    return document


@given(keepable)
def test_what_passes_comes_back_unchanged(document: Any) -> None:
    check_document(document)
    assert orjson.loads(orjson.dumps(document)) == document


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, 10**30, math.inf, -math.inf, math.nan], ids=str
)
def test_numbers_that_do_not_fit(value: float) -> None:
    documents: list[Any] = [value, [value], {"a": {"b": [value]}}]
    for document in documents:
        with pytest.raises(ValueError, match=r"64 bits|finite"):
            check_document(document)


def test_nesting() -> None:
    check_document(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="nesting"):
        check_document(nested(MAX_DEPTH + 1))


def test_nul() -> None:
    documents: list[Any] = ["a\0", ["\0"], {"\0": 1}, {"a": {"b": ["\0"]}}]
    for document in documents:
        check_document(document)
        with pytest.raises(ValueError, match=r"U\+0000"):
            check_document(document, nul=False)
    check_document({"a": ["b"]}, nul=False)


def test_text() -> None:
    assert check_text("a\x01b") == "a\x01b"
    with pytest.raises(ValueError, match=r"U\+0000"):
        check_text("a\0b")
