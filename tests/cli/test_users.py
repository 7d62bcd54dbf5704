"""`tidings user` and `tidings suppression`."""

import json
import secrets
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def name() -> str:
    return f"cli-{secrets.token_hex(4)}"


def test_set_show_find_and_delete(tidings: Cli, name: str) -> None:
    tidings("user", "set", name, "--email", f"{name}@example.com", "--attributes", '{"a": 1}')
    tidings("user", "set", name, "--locale", "de-AT", "--email", "")
    shown = tidings("user", "show", name, "--json").document
    assert (shown["email"], shown["locale"], shown["attributes"]) == (None, "de-AT", {"a": 1})
    assert shown["devices"] == []
    tidings("user", "set", name, "--email", f"{name}@example.com")
    found = tidings("user", "list", "--email", f"{name.upper()}@example.com", "--json").document
    assert found["user_id"] == name
    text = " ".join(tidings("user", "show", name).out.split())
    assert f"{name}@example.com" in text
    assert "de-AT" in text
    tidings("user", "delete", name)
    assert "no such user" in tidings("user", "show", name, status=1).err


def test_import_reports_what_is_refused(tidings: Cli, name: str, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f"user_id,email\n{name}-1,a@example.com\n{name}-2,nope\n{name}-3,\n")
    ended = tidings("user", "import", file, status=1)
    assert "2 created, 0 changed, 0 as they were, 1 refused." in ended.err
    assert "3 invalid_request email: not a valid email address" in " ".join(ended.err.split())
    file.write_text(f"user_id,email\n{name}-1,a@example.com\n{name}-2,b@example.com\n")
    again = tidings("user", "import", file, "--json")
    assert again.documents[-1] == {
        "lines": 3,
        "created": 1,
        "changed": 0,
        "unchanged": 1,
        "refused": 0,
        "done": True,
    }
    headless = tmp_path / "users.ndjson"
    headless.write_text("a,b\n1,2\n")
    ended = tidings("user", "import", headless, "--format", "csv", status=1)
    assert "must name the columns" in ended.err


def test_a_large_file_is_imported_while_it_is_read(tidings: Cli, name: str, tmp_path: Path) -> None:
    file = tmp_path / "many.ndjson"
    with file.open("w") as written:
        for number in range(5_000):
            written.write(json.dumps({"user_id": f"{name}-{number}", "locale": "de"}) + "\n")
    assert "5,000 created" in tidings("user", "import", file).err


def test_export_and_erase(tidings: Cli, name: str, tmp_path: Path) -> None:
    tidings("user", "set", name, "--phone", "+15550001111")
    file = tmp_path / "all.ndjson"
    assert "1 entries" in tidings("user", "export", name, "--output", file).err
    (entry,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert (entry["kind"], entry["phone"]) == ("user", "+15550001111")
    assert tidings("user", "export", name).documents == [entry]
    assert "is erased" in tidings("user", "erase", name, "--yes").out
    assert "Nothing is held" in tidings("user", "export", name, status=1).err


def test_suppressions(tidings: Cli, name: str, tmp_path: Path) -> None:
    address = f"{name}@example.com"
    tidings("suppression", "add", address, "--note", "asked", "--until", "30d")
    found = tidings("suppression", "list", "--address", address, "--json").document
    assert (found["reason"], found["note"], found["active"]) == ("manual", "asked", True)
    assert found["expires_at"]
    assert address in tidings("suppression", "list").out
    assert "off the list" in tidings("suppression", "remove", address).out
    assert "is not on the list" in tidings("suppression", "remove", address, status=1).err
    file = tmp_path / "addresses"
    file.write_text(f"a-{address}\n\nnonsense\n+15550002222\nalso wrong\nb-{address}\n")
    ended = tidings("suppression", "import", file, "--reason", "unsubscribed", status=1)
    assert "3 added, 0 changed, 2 refused." in ended.err
    assert {line.split()[0] for line in ended.err.splitlines()[-3:] if line.strip()} >= {"3", "5"}
