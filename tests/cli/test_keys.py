"""`tidings key` and `tidings keyring`."""

import json
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Serving
from tidings.store.keyring import Keys


def listed(tidings: Cli, key_id: str) -> dict[str, str]:
    (found,) = (one for one in tidings("key", "list", "--json").documents if one["id"] == key_id)
    return dict(found)


def test_a_key_is_shown_once_works_and_can_be_revoked(
    tidings: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tidings("key", "create", "Žofie's shop", "--role", "viewer", "--json").document
    secret = made.pop("key")
    assert listed(tidings, made["id"]) == made
    assert secret not in tidings("key", "list").out
    assert made["hint"] in tidings("key", "list").out
    with monkeypatch.context() as patched:
        patched.setenv("TIDINGS_API_KEY", secret)
        tidings("list")
    assert tidings("key", "revoke", made["id"]).out == "Revoked.\n"
    assert listed(tidings, made["id"])["revoked_at"]
    assert "No valid key has this id" in tidings("key", "revoke", made["id"], status=1).err


def test_running_processes_refuse_a_revoked_key(
    tidings: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tidings("key", "create", "short", "--role", "admin", "--json").document
    monkeypatch.setenv("TIDINGS_API_KEY", made["key"])
    tidings("list")
    tidings("key", "revoke", made["id"])
    # Told by NOTIFY: it is refused in a moment, though not at once.
    deadline = time.monotonic() + 30
    while (ended := tidings.tried("list")).status == 0:
        assert time.monotonic() < deadline, "the revoked key is still accepted"
    assert "with a valid key" in ended.err


def test_without_json_only_the_key_is_on_standard_output(tidings: Cli) -> None:
    ended = tidings("key", "create", "shop", "--role", "sender")
    assert ended.out.startswith("tdg_")
    assert ended.out.count("\n") == 1
    assert "only time" in ended.err


def test_a_new_ring_is_a_ring(alone: Cli) -> None:
    made = [Keys.parse(alone("keyring", "new").out) for _ in range(2)]
    assert [keys.active for keys in made] == [1, 1]
    assert made[0] != made[1]


def test_rotation_beside_running_processes(tidings: Cli, serving: Serving, note: str) -> None:
    path = serving.data_dir / "keyring.json"
    before = Keys.parse(path.read_text())
    send = ("send", "-t", "note", "--to", "ada@example.com", "-d", '{"name": "Ada"}', "--json")
    earlier = tidings(*send).document["notification_id"]
    tidings("status", earlier, "--follow", "--interval", "0.1")
    document = tidings("keyring", "rotate", "--json").document
    assert document["complete"] is True
    assert document["active"] == before.active + 1
    assert document["tables"]["notifications"]["resealed"] >= 1
    assert document["tables"]["outbox"]["resealed"] >= 1
    after = Keys.parse(path.read_text())
    assert after.active == before.active + 1
    assert after.follows(before)
    shown = tidings("keyring", "show", "--usage", "--json").document
    assert set(shown["usage"]) == {str(after.active)}
    # The API and the worker know the new key: they read what it sealed, and seal with it.
    kept = tidings("outbox", earlier, "--json").document
    assert kept["address"] == "ada@example.com"
    later = tidings(*send).document["notification_id"]
    tidings("status", later, "--follow", "--interval", "0.1")
    usage = tidings("keyring", "show", "--usage", "--json").document["usage"]
    assert set(usage) == {str(after.active)}
    again = tidings("keyring", "rotate", "--reseal-only", "--json").document
    assert again["active"] == after.active
    assert all(table["resealed"] == 0 for table in again["tables"].values())


def test_older_keys_are_retired_when_they_seal_nothing(
    tidings: Cli, serving: Serving, note: str
) -> None:
    path = serving.data_dir / "keyring.json"
    send = ("send", "-t", "note", "--to", "ada@example.com", "-d", '{"name": "Ada"}', "--json")
    earlier = tidings(*send).document["notification_id"]
    tidings("status", earlier, "--follow", "--interval", "0.1")
    tidings("keyring", "rotate", "--reseal-only")
    before = Keys.parse(path.read_text())
    rotated = before.rotated()
    path.write_text(rotated.dump())
    refused = tidings("keyring", "retire", "--remove", status=1)
    assert f"Key {before.active} still seals" in refused.err
    assert "`tidings keyring rotate --reseal-only`" in refused.err
    assert before.active in Keys.parse(path.read_text()).keys

    tidings("keyring", "rotate", "--reseal-only")
    document = tidings("keyring", "retire", "--json").document
    assert before.active in document["unused"]
    assert (document["active"], document["in_use"]) == (rotated.active, {})
    assert f"Key {before.active} seals nothing any more" in tidings("keyring", "retire").out
    assert set(Keys.parse(path.read_text()).keys) > {rotated.active}
    tidings("keyring", "retire", "--remove")
    assert set(Keys.parse(path.read_text()).keys) == {rotated.active}
    assert tidings("keyring", "retire").out == "The ring has no older keys.\n"
    # The running processes go on with the smaller ring.
    later = tidings(*send).document["notification_id"]
    tidings("status", later, "--follow", "--interval", "0.1")
    assert tidings("outbox", earlier, "--json").document["address"] == "ada@example.com"


def test_show_names_keys_and_never_shows_them(tidings: Cli, serving: Serving) -> None:
    path = serving.data_dir / "keyring.json"
    ring = json.loads(path.read_text())
    for arguments in (["keyring", "show"], ["keyring", "show", "--usage"]):
        shown = tidings(*arguments).out
        assert str(path) in shown
        assert "active" in shown
        assert not any(key in shown for key in [*ring["keys"].values(), ring["hash_key"]])


def test_a_ring_in_the_environment_cannot_be_changed_but_printed(
    tidings: Cli, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = (serving.data_dir / "keyring.json").read_text()
    monkeypatch.setenv("TIDINGS_KEYRING", ring)
    refused = tidings("keyring", "rotate", status=1)
    assert "`tidings keyring rotate --print`" in refused.err
    assert "`tidings keyring rotate --reseal-only`" in refused.err
    printed = Keys.parse(tidings("keyring", "rotate", "--print").out)
    now = Keys.parse(ring)
    assert printed.follows(now)
    assert printed.active == now.active + 1
    assert (serving.data_dir / "keyring.json").read_text() == ring
    tidings("keyring", "rotate", "--reseal-only")
    assert "TIDINGS_KEYRING" in tidings("keyring", "retire", "--remove", status=1).err


def test_a_broken_ring_is_said_without_its_content(
    alone: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ring").write_text('{"active": 1, "keys": {"1": "c2VjcmV0"}}')
    monkeypatch.setenv("TIDINGS_KEYRING_FILE", str(tmp_path / "ring"))
    ended = alone("keyring", "show", status=1)
    assert "The key ring must be JSON like" in ended.err
    assert "c2VjcmV0" not in ended.err
