"""`tidings accounts --health` and `tidings accounts reset`, against a running Tidings."""

from tests.cli.conftest import Cli


def test_health_of_the_accounts(tidings: Cli) -> None:
    by_name = {one["name"]: one for one in tidings("accounts", "--health", "--json").documents}
    assert by_name["inbox"]["state"] == "closed"
    assert "no breaker" in tidings("accounts", "--health").out


def test_reset(tidings: Cli) -> None:
    (answer,) = tidings("accounts", "reset", "inbox", "--json").documents
    assert (answer["state"], answer["reason"]) == ("closed", "reset")
    assert "closed" in tidings("accounts", "reset", "inbox").out
    assert "There is no such account." in tidings("accounts", "reset", "nope", status=1).err


def test_health_without_a_server(alone: Cli) -> None:
    assert alone("accounts", "--health", status=1).err
