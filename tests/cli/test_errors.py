"""What goes wrong is one clear message with what to do, and the right exit status."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Serving


def test_a_wrong_setting(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_API__PORT", "eighty")
    ended = alone("list", status=1)
    assert "api.port (TIDINGS_API__PORT): got 'eighty'" in ended.err
    assert "docs/reference/settings.md" in ended.err


def test_a_database_url_that_is_none(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("nonsense", "mysql://a:hunter2@host/x", "postgresql://a:hunter2@host:port/x"):
        monkeypatch.setenv("TIDINGS_DATABASE_URL", url)
        ended = alone("key", "list", status=1)
        assert "database_url (TIDINGS_DATABASE_URL): got (hidden)" in ended.err
        assert "hunter2" not in ended.err


def test_no_key_before_the_first_start(alone: Cli) -> None:
    ended = alone("list", status=1)
    assert "There is no API key." in ended.err
    assert "tidings key create" in ended.err


def test_nothing_answers(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_API_KEY", "tdg_any")
    monkeypatch.setenv("TIDINGS_URL", "http://127.0.0.1:1/")
    ended = alone("list", status=1)
    assert "Nothing answers at http://127.0.0.1:1." in ended.err
    assert "Is `tidings serve` running?" in ended.err


def test_a_key_that_nobody_knows(tidings: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_API_KEY", "tdg_unknown")
    ended = tidings("list", status=1)
    assert "with a valid key" in ended.err
    assert "TIDINGS_API_KEY" in ended.err


def test_a_key_that_may_not(tidings: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tidings("key", "create", "looker", "--role", "viewer").out.strip()
    monkeypatch.setenv("TIDINGS_API_KEY", secret)
    tidings("list")
    ended = tidings("send", "-t", "note", "--to", "a@example.com", status=1)
    assert "The role viewer may not send." in ended.err


def test_an_address_that_is_not_tidings(
    tidings: Cli, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDINGS_URL", f"http://127.0.0.1:{serving.port}/elsewhere")
    ended = tidings("list", status=1)
    assert ended.err.startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "no-uuid"),
        ("send",),
        ("send", "--template", "note"),
        ("send", "--template", "note", "--to", "a@b.cc", "--data", "{"),
        ("send", "--template", "note", "--to", "a@b.cc", "--data", "[1]"),
        ("send", "--template", "note", "--to", "a@b.cc", "--data", "@/nowhere"),
        ("send", "--template", "note", "--to", "a@b.cc", "--data", '{"n": 123456789012345678901}'),
        ("send", "--template", "note", "--to", "a@b.cc", "--attach", "/nowhere/invoice.pdf"),
        ("send", "--template", "note", "--to", "a@b.cc", "--attach", "/"),
        ("send", "--template", "note", "--to", "a@b.cc", "--to", "c@d.ee"),
        ("send", "--template", "note", "--to", "a@b.cc", "--recipient", "{}"),
        ("send", "--template", "note", "--to", "a@b.cc", "--send-at", "tomorrow"),
        ("send", "--template", "note", "--to", "a@b.cc", "--metadata", "x"),
        ("send", "--template", "note", "--to", "a@b.cc", "--channel", "pigeon"),
        ("send", "--template", "note", "--file", "x"),
        ("send", "--file", "/nowhere"),
        ("list", "--since", "yesterday"),
        ("list", "--limit", "0"),
        ("key", "create", "name", "--role", "boss"),
        ("key", "create", " ", "--role", "admin"),
        ("template", "push", "/nowhere"),
    ],
)
def test_wrong_usage(
    alone: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TIDINGS_API_KEY", "tdg_any")
    assert alone(*arguments, status=2).err


def test_a_keyring_of_another_database(
    tidings: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDINGS_KEYRING_FILE", str(tmp_path / "ring"))
    (tmp_path / "ring").write_text(tidings("keyring", "new").out)
    ended = tidings("keyring", "rotate", status=1)
    assert "does not open with this key ring" in ended.err
    assert "TIDINGS_KEYRING_FILE" in ended.err
    assert (tmp_path / "ring").read_text().count('"2"') == 0
