"""`tidings limits`."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tidings.cli import limits

LIMIT: dict[str, Any] = {
    "name": "keys",
    "rate": "2/h",
    "count": 2,
    "seconds": 3600.0,
    "scope": "api_key",
    "over": "wait",
    "account": None,
    "channel": "sms",
    "category": None,
    "template": None,
    "api_key": None,
    "uses": [{"subject": "shop", "used": 2, "next_at": "2030-01-01T10:00:00Z"}],
}
UNUSED = {**LIMIT, "name": "people", "scope": "recipient", "channel": None, "uses": []}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the API answers."""
    answer: list[dict[str, Any]] = []

    class Api:
        def get(self, path: str) -> dict[str, Any]:
            return {path: answer}

    @contextlib.contextmanager
    def open_api(_: object) -> Iterator[Api]:
        yield Api()

    monkeypatch.setattr(limits, "open_api", open_api)
    return answer


def test_each_that_is_counted_has_a_row(alone: Cli, found: list[dict[str, Any]]) -> None:
    found += [LIMIT, UNUSED]
    shown = " ".join(alone("limits").out.split())
    for text in ("keys", "2/h", "shop", "channel sms", "2 of 2", "people", "each recipient", "all"):
        assert text in shown


def test_as_json(alone: Cli, found: list[dict[str, Any]]) -> None:
    found += [LIMIT, UNUSED]
    lines = alone("limits", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == [LIMIT, UNUSED]


def test_where_there_are_none_it_says_how_to_make_one(
    alone: Cli, found: list[dict[str, Any]]
) -> None:
    assert not found
    assert "[limits.NAME]" in alone("limits").out
