"""`--dry-run` of send and broadcast: told as tables, and nothing is kept."""

import json
from pathlib import Path

from tests.cli.conftest import Cli


def test_of_one(tidings: Cli, note: str) -> None:
    before = tidings("list", "--json").documents
    ended = tidings(
        "send", "-t", "note", "--to", "dry@example.com", "-d", '{"name": "Dry"}', "--dry-run"
    )
    assert "nothing was stored or sent" in ended.out
    assert "Hello Dry" in ended.out
    assert "1 would be accepted, 1 of them sent" in ended.out
    assert "No rate limit holds it back." in ended.out
    assert tidings("list", "--json").documents == before


def test_of_a_file(tidings: Cli, note: str, tmp_path: Path) -> None:
    lines = [
        {"template_id": "note", "recipient": {"email": f"{number}@example.com"}}
        for number in range(20)
    ]
    lines.append({"template_id": "nowhere", "recipient": {"email": "a@example.com"}})
    path = tmp_path / "lines.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))
    found = tidings("send", "--file", str(path), "--dry-run", "--json").document
    assert (found["accepted"], found["refused"]) == (20, 1)
    shown = tidings("send", "--file", str(path), "--dry-run").out
    assert "unknown_template" in shown
    assert "would not render" in shown


def test_of_a_file_with_defaults_and_with_lines_that_are_none(
    tidings: Cli, note: str, tmp_path: Path
) -> None:
    path = tmp_path / "lines.ndjson"
    line = '{"recipient": {"email": "a@example.com"}}\n'
    path.write_text('{"defaults": {"template_id": "note"}}\n' + line * 3 + "\nnot JSON\n")
    shown = tidings("send", "--file", str(path), "--dry-run").out
    assert "4 lines, 3 would be accepted" in shown
    assert "malformed_json" in shown


def test_of_a_broadcast(tidings: Cli, note: str) -> None:
    found = tidings("broadcast", "send", "-t", "note", "--everyone", "--dry-run", "--json").document
    assert found["dry_run"] is True
    assert found["users"] == found["accepted"] + found["refused"]
    assert "Dry run" in tidings("broadcast", "send", "-t", "note", "--everyone", "--dry-run").out
    assert tidings("broadcast", "list", "--json").documents == []
