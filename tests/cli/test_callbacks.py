"""`tidings callbacks`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tidings.cli import callbacks

ONE = {
    "callback_id": "01890000-0000-7000-8000-000000000000",
    "account": "mail",
    "received_at": "2030-01-01T10:00:00Z",
    "problem": "1 of 3 events are no objects",
}


class Api:
    """Answers as the API does, and keeps what it was asked."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.asked: list[Any] = []

    def get(self, *path: str, **query: Any) -> Any:
        self.asked.append((path, query))
        return {"callbacks": self.found, "next_cursor": None}

    def post(self, *path: str, document: Any) -> Any:
        self.asked.append((path, document))
        return {"retried": 2}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    @contextlib.contextmanager
    def open_api(_: object) -> Iterator[Api]:
        yield made

    monkeypatch.setattr(callbacks, "open_api", open_api)
    return made


def test_what_could_not_be_read_is_listed_with_why(alone: Cli, api: Api) -> None:
    assert "Every callback was read." in alone("callbacks", "list").out
    api.found.append(ONE)
    shown = " ".join(alone("callbacks", "list").out.split())
    assert all(word in shown for word in ("mail", "of 3", "objects"))
    assert alone("callbacks", "list", "--account", "mail", "-n", "7", "--json").document == ONE
    query = {"cursor": None, "limit": 7, "account": "mail"}
    assert api.asked[-1] == (("unread-callbacks",), query)


def test_read_once_more(alone: Cli, api: Api) -> None:
    assert "2 are read once more." in alone("callbacks", "retry").out
    assert alone("callbacks", "retry", "--account", "mail", "--json").document == {"retried": 2}
    alone("callbacks", "retry", ONE["callback_id"])
    assert api.asked == [
        (("unread-callbacks", "retry"), document)
        for document in ({}, {"account": "mail"}, {"ids": [ONE["callback_id"]]})
    ]
