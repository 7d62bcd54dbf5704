"""`tidings dead-letters`: found, shown, replayed and discarded, by id, by filter, or all."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, Ended, Serving, on_a_terminal, write_template
from tidings.cli.client import open_api
from tidings.cli.config import load_settings

TITLE = 'title = "t"\n'


@pytest.fixture
def failing(tidings: Cli, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A template of this test's own that cannot be rendered."""
    name = re.sub(r"[^a-z]+", "-", request.node.name)
    folder = tmp_path / name
    write_template(
        folder, {"template.toml": 'name = "F"\n', "in_app.toml": f'{TITLE}body = "{{{{ no }}}}"\n'}
    )
    tidings("template", "push", folder)
    return name


def fail(tidings: Cli, template: str, count: int = 1) -> list[str]:
    """The deliveries that failed."""
    made = []
    for _ in range(count):
        sent = tidings("send", "-t", template, "--to", template, "--json").document
        follow = ("status", sent["notification_id"], "--follow", "--interval", "0.1", "--json")
        ended = tidings(*follow, status=1).documents[-1]
        made.append(ended["deliveries"][0]["delivery_id"])
    return made


def letters(tidings: Cli, *arguments: str) -> list[Any]:
    return tidings("dead-letters", "list", *arguments, "--json").documents


def test_listed_by_what_is_asked_for(tidings: Cli, failing: str) -> None:
    made = fail(tidings, failing, 3)
    found = letters(tidings, "--template", failing)
    assert {one["delivery_id"] for one in found} == set(made)
    assert len(letters(tidings, "--template", failing, "--limit", "2")) == 2
    given = ("--channel", "in_app", "--status", "failed", "--reason", "undefined_variable")
    assert len(letters(tidings, "-t", failing, *given, "--since", "1h")) == 3
    assert letters(tidings, "-t", failing, "--until", "1h") == []
    assert letters(tidings, "-t", failing, "--state", "replayed") == []
    assert len(letters(tidings, "-t", failing, "--state", "any")) == 3
    shown = tidings("dead-letters", "list", "-t", failing).out
    assert all(one in shown for one in (*made, "undefined_variable", "waiting"))
    assert "No dead letters." in tidings("dead-letters", "list", "--account", "nobody").out


def test_shown_in_full(tidings: Cli, failing: str) -> None:
    (delivery_id,) = fail(tidings, failing)
    shown = tidings("dead-letters", "show", delivery_id).out
    assert all(one in shown for one in (delivery_id, "in_app.body", failing, "waiting"))
    replayed = tidings("dead-letters", "replay", delivery_id, "--json").document
    assert replayed["replay_of"] == delivery_id
    assert replayed["notification_id"] in tidings("dead-letters", "show", delivery_id).out
    status = tidings("status", replayed["notification_id"]).out
    assert f"replay of {delivery_id}" in status


def test_one_by_one(tidings: Cli, failing: str) -> None:
    first, second = fail(tidings, failing, 2)
    assert "replayed as" in tidings("dead-letters", "replay", first).out
    ended = tidings("dead-letters", "replay", first, second, "--json", status=1)
    refused, done = ended.documents
    assert (refused["delivery_id"], refused["problem"]["code"]) == (first, "not_replayable")
    assert done["replay_of"] == second
    despite = ("--despite", "already_replayed")
    assert "replayed as" in tidings("dead-letters", "replay", first, *despite).out


def test_by_filter_with_what_was_not(tidings: Cli, failing: str) -> None:
    made = fail(tidings, failing, 3)
    tidings("dead-letters", "discard", made[0])
    ended = tidings("dead-letters", "replay", "-t", failing, "--json").document
    assert ended == {"replayed": 2, "skipped": []}
    said = tidings("dead-letters", "replay", "-t", failing, "--state-of-mind", status=2)
    assert "--state-of-mind" in said.err
    despite = ("--despite", "discarded", "--despite", "already_replayed")
    assert "replayed." in tidings("dead-letters", "replay", "-t", failing, *despite).out


def test_what_was_not_replayed_is_told(tidings: Cli, failing: str, serving: Serving) -> None:
    fail(tidings, failing, 2)
    with open_api(load_settings()) as api:
        api.put("users", failing, "preferences", document={"channels": {"in_app": False}})
    given = ("dead-letters", "replay", "-t", failing)
    ended = tidings(*given, "--json").document
    assert [(one["reason"], one["count"]) for one in ended["skipped"]] == [("preference_off", 2)]
    shown = tidings(*given).out
    assert "0 replayed." in shown
    assert "turned this channel off" in shown
    seen = on_a_terminal(*given, variables=serving.variables)
    assert "0 replayed." in seen


def test_discarded_by_filter(tidings: Cli, failing: str) -> None:
    fail(tidings, failing, 2)
    assert tidings("dead-letters", "discard", "-t", failing).out == "2 discarded.\n"
    assert tidings("dead-letters", "discard", "-t", failing, "--json").document == {"discarded": 0}
    assert len(letters(tidings, "-t", failing, "--state", "discarded")) == 2


@pytest.mark.parametrize("what", ["replay", "discard"])
def test_it_must_be_said_which(alone: Cli, what: str) -> None:
    for given in ((), ("--all", "--channel", "sms"), (str(Path.cwd()),)):
        ended: Ended = alone("dead-letters", what, *given, status=2)
        assert ended.err


def test_an_id_that_has_none(tidings: Cli) -> None:
    unknown = "01890000-0000-7000-8000-000000000000"
    assert "no dead letter" in tidings("dead-letters", "show", unknown, status=1).err
    ended = tidings("dead-letters", "replay", unknown, "--json", status=1)
    assert json.loads(ended.out)["problem"]["code"] == "not_found"
