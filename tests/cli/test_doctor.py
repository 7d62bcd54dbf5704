"""`tidings doctor` and `tidings accounts`."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Ended, Serving, in_process_of_its_own

SMTP = {
    "TIDINGS_ACCOUNTS__MAIN__PROVIDER": "smtp",
    "TIDINGS_ACCOUNTS__MAIN__HOST": "127.0.0.1",
    "TIDINGS_ACCOUNTS__MAIN__FROM": "shop@example.com",
    "TIDINGS_ACCOUNTS__MAIN__USERNAME": "shop",
    "TIDINGS_ACCOUNTS__MAIN__PASSWORD": "hunter2",
}


def examined(variables: dict[str, str], status: int) -> dict[str, tuple[str, str, str]]:
    """By check: its state, what was found, what to mend."""
    ended = in_process_of_its_own("doctor", "--json", variables=variables)
    assert ended.status == status, ended.out + ended.err
    assert "Traceback" not in ended.err
    return {one["check"]: (one["state"], one["found"], one["mend"]) for one in ended.documents}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, and at which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_all_is_well(serving: Serving) -> None:
    found = examined(serving.variables, 0)
    assert {state for state, _, _ in found.values()} == {"ok"}
    assert found["database"][1].startswith("PostgreSQL ")
    assert set(found) >= {"settings", "key ring fits", "schema", "clock", "account outbox", "API"}
    shown = in_process_of_its_own("doctor", variables=serving.variables)
    assert shown.status == 0
    assert "All is well." in shown.out


def test_before_the_first_start_nothing_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    found = examined({"TIDINGS_DATA_DIR": str(directory), "TIDINGS_API__PORT": "1"}, 0)
    assert found["database"][0] == "warn"
    assert "tidings serve" in found["database"][2]
    assert found["API"][0] == "warn"
    assert not directory.exists()


def test_wrong_settings(tmp_path: Path) -> None:
    found = examined({"TIDINGS_API__PORT": "eighty", "TIDINGS_DATA_DIR": str(tmp_path)}, 1)
    state, what, _ = found["settings"]
    assert state == "fail"
    assert "eighty" in what


def test_an_account_that_cannot_be_reached(serving: Serving, closed_port: int) -> None:
    variables = {**serving.variables, **SMTP, "TIDINGS_ACCOUNTS__MAIN__PORT": str(closed_port)}
    found = examined(variables, 1)
    assert found["account main"][0] == "fail"
    assert str(closed_port) in found["account main"][1]
    assert found["account inbox"][0] == "ok"


def test_an_account_that_is_not_valid(serving: Serving) -> None:
    variables = {**serving.variables, "TIDINGS_ACCOUNTS__MAIN__PROVIDER": "smpt"}
    found = examined(variables, 1)
    assert found["accounts"][0] == "fail"
    assert 'did you mean "smtp"?' in found["accounts"][1]
    assert found["database"][0] == "ok"


def test_a_ring_of_another_database(serving: Serving, tmp_path: Path) -> None:
    ring = tmp_path / "ring"
    ring.write_text(in_process_of_its_own("keyring", "new", variables={}).out)
    ring.chmod(0o644)
    variables = {**serving.variables, "TIDINGS_KEYRING_FILE": str(ring)}
    found = examined(variables, 1)
    assert found["key ring fits"][0] == "fail"
    assert found["data directory"] == ("warn", f"others may read {ring}", f"chmod 600 {ring}")


def test_production_without_a_ring(serving: Serving) -> None:
    found = examined({**serving.variables, "TIDINGS_ENVIRONMENT": "production"}, 1)
    assert found["key ring"][0] == "fail"
    assert "TIDINGS_KEYRING_FILE" in found["key ring"][1]
    assert found["accounts"][0] == "warn"


def test_a_database_that_is_not_there(serving: Serving) -> None:
    url = "postgresql://nobody:hunter2@127.0.0.1:1/none"
    ended = in_process_of_its_own(
        "doctor", variables={**serving.variables, "TIDINGS_DATABASE_URL": url}
    )
    assert ended.status == 1
    assert "The database cannot be reached" in ended.out
    assert "hunter2" not in ended.out + ended.err


def test_accounts_are_shown_without_secrets(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMTP.items():
        monkeypatch.setenv(name, value)
    shown: list[Ended] = [alone("accounts"), alone("accounts", "--json")]
    assert not any("hunter2" in ended.out + ended.err for ended in shown)
    by_name = {one["name"]: one for one in shown[1].documents}
    assert by_name["main"]["password"] == "***"
    assert by_name["main"]["username"] == "shop"
    assert by_name["outbox"]["channels"] == ["sms", "push", "webhook", "chat"]
    assert "password = ***" in shown[0].out


def test_accounts_with_a_mistake(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_ACCOUNTS__MAIN__PROVIDER", "smtp")
    assert "accounts.main.host is required" in alone("accounts", status=1).err
