"""`tidings topic`, `tidings segment` and `tidings broadcast`."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.cli.conftest import Cli
from tidings.cli import broadcast, segment, topic

ID = "01890000-0000-7000-8000-000000000000"
VIEW: dict[str, Any] = {
    "broadcast_id": ID,
    "name": "June",
    "state": "running",
    "audience": {"topics": ["news"]},
    "template_id": "note",
    "template_version": 1,
    "starts_at": "2030-01-01T10:00:00Z",
    "begun_at": "2030-01-01T10:00:00Z",
    "finished_at": None,
    "expected": 1000,
    "done": 250,
    "refused": 3,
    "refusals": [],
    "problem": None,
}
DONE = {**VIEW, "state": "finished", "done": 1000, "finished_at": "2030-01-01T10:01:00Z"}


class Api:
    """Answers what it was told to, in order, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []

    def get(self, *path: str, **query: Any) -> Any:
        self.asked.append(("GET", *path))
        return self.answers.pop(0)

    def put(self, *path: str, document: Any) -> Any:
        self.asked.append(("PUT", *path, document))
        return self.answers.pop(0)

    def post(self, *path: str, document: Any) -> Any:
        self.asked.append(("POST", *path, document))
        return self.answers.pop(0)

    def send(self, method: str, *path: str, body: bytes = b"") -> Any:
        self.asked.append((method, *path, orjson.loads(body) if body else None))
        return self.answers.pop(0)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    @contextlib.contextmanager
    def open_api(_: object) -> Iterator[Api]:
        yield made

    for module in (topic, segment, broadcast):
        monkeypatch.setattr(module, "open_api", open_api)
    return made


def test_a_broadcast_is_followed_until_all_were_reached(alone: Cli, api: Api) -> None:
    api.answers += [VIEW, VIEW, DONE]
    options = ("--template", "note", "--topic", "news", "--topic", "tips", "--segment", "pro")
    shown = alone("broadcast", "send", *options, "--follow", "--interval", "0.1").out
    assert "250 of 1,000 users done, 3 could not be reached" in shown
    assert "1,000 of 1,000 users done" in shown
    _, path, document = api.asked[0]
    assert path == "broadcasts"
    assert document["audience"] == {"topics": ["news", "tips"], "segments": ["pro"]}
    assert document["idempotency_key"]


def test_as_json_a_line_for_each_change(alone: Cli, api: Api) -> None:
    api.answers += [VIEW, VIEW, DONE]
    lines = alone("broadcast", "show", ID, "--follow", "--interval", "0.1", "--json").out
    assert [json.loads(line) for line in lines.splitlines()] == [VIEW, DONE]


@pytest.mark.parametrize("audience", [(), ("--everyone", "--topic", "news")])
def test_an_audience_is_named_in_one_way(alone: Cli, api: Api, audience: tuple[str, ...]) -> None:
    assert "--everyone" in alone("broadcast", "send", "-t", "note", *audience, status=2).err
    assert api.asked == []


def test_many_are_subscribed_from_a_file(alone: Cli, api: Api, tmp_path: Path) -> None:
    users = [f"user-{number}" for number in range(10_001)]
    file = tmp_path / "users.txt"
    file.write_text("\n".join(users) + "\n\n")
    api.answers += [{"changed": 9_000}, {"changed": 1}]
    shown = alone("topic", "subscribe", "news", "--file", str(file)).out
    assert "9,001 of 10,001 subscribed" in shown
    assert [len(asked[-1]["user_ids"]) for asked in api.asked] == [10_000, 1]


def test_topics_and_segments_are_saved_and_deleted(alone: Cli, api: Api) -> None:
    api.answers += [{}, None, {"id": "pro"}, {"users": 1_234}, None]
    alone("topic", "put", "news", "--name", "News")
    alone("topic", "delete", "news")
    saved = alone("segment", "put", "pro", "--filter", '{"attribute": "plan", "is": "pro"}').out
    assert "1,234 users" in saved
    alone("segment", "delete", "pro")
    assert api.asked == [
        ("PUT", "topics", "news", {"description": "", "name": "News"}),
        ("DELETE", "topics", "news", None),
        ("PUT", "segments", "pro", {"filter": {"attribute": "plan", "is": "pro"}}),
        ("GET", "segments", "pro", "size"),
        ("DELETE", "segments", "pro", None),
    ]


def test_lists(alone: Cli, api: Api) -> None:
    api.answers += [
        {"topics": [{"id": "news", "name": "News", "description": ""}], "next_cursor": "news"},
        {"topics": [{"id": "tips", "name": "Tips", "description": ""}], "next_cursor": None},
        {"attributes": [{"name": "plan", "type": "string", "description": ""}], "filling": True},
        {"broadcasts": [VIEW], "next_cursor": None},
    ]
    topics = alone("topic", "list").out
    assert "news" in topics
    assert "tips" in topics
    declared = alone("segment", "attributes")
    assert "plan" in declared.out
    assert "still being read" in declared.err
    assert ID in alone("broadcast", "list").out
