"""`tidings send` with options, and what one does with the result: status, list, cancel, outbox."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, Ended, Serving, on_a_terminal
from tidings.cli.arguments import recipient

FINISHED = "delivered"


def send(tidings: Cli, *arguments: str) -> str:
    ended = tidings("send", "--template", "note", "--data", '{"name": "Ada"}', "--json", *arguments)
    notification_id: str = ended.document["notification_id"]
    return notification_id


def followed(tidings: Cli, notification_id: str, *, exit_status: int = 0) -> Any:
    """The status when every delivery has ended; the command's exit status tells whether it reached somebody."""
    follow = ("status", notification_id, "--follow", "--interval", "0.1", "--json")
    return tidings(*follow, status=exit_status).documents[-1]


def test_what_is_sent_arrives(tidings: Cli, note: str) -> None:
    notification_id = send(
        tidings, "--to", "ada@example.com", "--to", "+1 (555) 123-4567", "--priority", "high"
    )
    status = followed(tidings, notification_id)
    assert status["status"] == FINISHED
    assert status["priority"] == "high"
    assert {one["channel"] for one in status["deliveries"]} == {"email", "sms"}
    kept = tidings("outbox", notification_id, "--json").documents
    assert {one["channel"]: one["address"] for one in kept} == {
        "email": "ada@example.com",
        "sms": "+15551234567",
    }
    assert kept[0]["content"]["subject"] == "Hello Ada"


def test_without_json_the_id_alone_is_printed(tidings: Cli, note: str) -> None:
    ended = tidings("send", "-t", "note", "--to", "ada@example.com", "-d", '{"name": "Ada"}')
    notification_id = uuid.UUID(ended.out.strip())
    assert f"tidings status {notification_id} --follow" in ended.err


def test_data_from_a_file(tidings: Cli, note: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"name": "Žofie \\ud83d\\ude00"}')
    ended = tidings(
        *("send", "-t", "note", "--to", "a@example.com", "-d", f"@{tmp_path}/data.json", "--json")
    )
    followed(tidings, ended.document["notification_id"])
    kept = tidings("outbox", ended.document["notification_id"], "--json").document
    assert kept["content"]["subject"] == "Hello Žofie 😀"


def test_every_option_reaches_the_api(tidings: Cli, note: str) -> None:
    notification_id = send(
        tidings,
        *("--recipient", '{"email": "ada@example.com", "user_id": "ada"}'),
        *("--channel", "sms", "--channel", "email", "--routing", "fallback"),
        *("--correlation-id", "order 7", "--collapse-key", "order", "--on-unknown", "hold"),
        *("--metadata", "shop=7", "--metadata", "note=a=b"),
        *("--send-at", "2h", "--expires-at", "2199-01-01T00:00:00Z"),
    )
    status = tidings("status", notification_id, "--json").document
    assert status["correlation_id"] == "order 7"
    assert status["user_id"] == "ada"
    assert status["expires_at"] == "2199-01-01T00:00:00Z"
    assert [one["channel"] for one in status["deliveries"]] == ["sms", "email"]
    assert status["send_at"] > status["accepted_at"]
    assert status["status"] == "pending"
    assert "not before" in tidings("status", notification_id).out


def test_the_same_idempotency_key_is_the_same_notification(tidings: Cli, note: str) -> None:
    key = str(uuid.uuid4())
    first = send(tidings, "--to", "ada@example.com", "--idempotency-key", key)
    assert send(tidings, "--to", "ada@example.com", "--idempotency-key", key) == first
    other = tidings(
        *("send", "-t", "note", "--to", "eve@example.com", "--idempotency-key", key), status=1
    )
    assert "used before with another request" in other.err


def test_a_refusal_says_why(tidings: Cli, note: str) -> None:
    unknown = tidings("send", "-t", "none", "--to", "a@example.com", status=1)
    assert "There is no template 'none'." in unknown.err
    wrong = tidings("send", "-t", "note", "--to", "email:nonsense", status=1)
    assert "recipient.email: not a valid email address" in wrong.err
    assert "nonsense" not in wrong.err


def test_status_shows_deliveries_and_what_happened(tidings: Cli, note: str) -> None:
    notification_id = send(tidings, "--to", "ada@example.com", "--correlation-id", "order-12345")
    followed(tidings, notification_id)
    shown = tidings("status", notification_id).out
    for part in ("order-12345", "note v", "outbox (outbox)", "attempt 1: accepted", "delivered"):
        assert part in shown
    live = tidings("status", notification_id, "--follow").out
    assert "attempt 1: accepted" in live


def test_following_on_a_terminal(tidings: Cli, note: str, serving: Serving) -> None:
    notification_id = send(tidings, "--to", "ada@example.com")
    shown = on_a_terminal("status", notification_id, "--follow", variables=serving.variables)
    assert notification_id in shown
    assert "delivered" in shown


def test_status_of_what_is_not_there(tidings: Cli) -> None:
    assert "no notification" in tidings("status", str(uuid.uuid4()), status=1).err


def test_a_missing_variable_is_explained(tidings: Cli, note: str) -> None:
    ended = tidings("send", "-t", "note", "--to", "ada@example.com", "--json")
    status = followed(tidings, ended.document["notification_id"], exit_status=1)
    assert status["status"] == "failed"
    shown = tidings("status", status["notification_id"]).out
    assert "The template uses a variable that the data does not hold." in shown
    assert "'name' is undefined" in shown


def test_list_filters(tidings: Cli, note: str) -> None:
    mark = str(uuid.uuid4())
    sent = [send(tidings, "--to", f"{n}@example.com", "--correlation-id", mark) for n in "abc"]

    def listed(*arguments: str) -> list[str]:
        documents = tidings("list", "--correlation-id", mark, "--json", *arguments).documents
        return [one["notification_id"] for one in documents]

    assert listed() == sent[::-1]
    assert listed("--limit", "2") == sent[:0:-1]
    assert listed("--recipient", "b@example.com") == [sent[1]]
    assert listed("--template", "note", "--channel", "email", "--since", "1h") == sent[::-1]
    assert listed("--until", "1h") == []
    assert listed("--channel", "sms") == []
    assert "No notifications." in tidings("list", "--correlation-id", "none").out
    assert sent[0] in tidings("list", "--correlation-id", mark).out


def test_cancel(tidings: Cli, note: str) -> None:
    notification_id = send(tidings, "--to", "ada@example.com", "--send-at", "1d")
    assert tidings("cancel", notification_id).out == "Cancelled 1 delivery.\n"
    again = tidings("cancel", notification_id, status=1)
    assert "Every delivery has ended" in again.err
    assert followed(tidings, notification_id, exit_status=1)["status"] == "cancelled"


def test_outbox_lists_and_shows(tidings: Cli, note: str) -> None:
    notification_id = send(tidings, "--to", "ada@example.com", "--to", "+15551234567")
    deliveries = followed(tidings, notification_id)["deliveries"]
    listed = tidings("outbox", "--limit", "2").out
    assert "ada@example.com" in listed
    assert all(
        one["channel"] == "sms" for one in outbox(tidings("outbox", "--channel", "sms", "--json"))
    )
    one = tidings("outbox", deliveries[1]["delivery_id"], "--json").document
    assert one["channel"] == "sms"
    shown = tidings("outbox", notification_id).out
    assert "<p>Hello Ada</p>" in shown
    assert "+15551234567" in shown
    assert "holds no message" in tidings("outbox", str(uuid.uuid4()), status=1).err


def outbox(ended: Ended) -> list[Any]:
    assert ended.documents
    return ended.documents


def test_what_others_wrote_does_not_steer_the_terminal(tidings: Cli, note: str) -> None:
    ended = tidings(
        *("send", "-t", "note", "--to", "+15551234567", "--json"),
        *("--data", '{"name": "\\u001b[2Jgone\\u0007"}'),
    )
    notification_id = ended.document["notification_id"]
    followed(tidings, notification_id)
    for shown in (tidings("outbox", notification_id).out, tidings("outbox", "--limit", "1").out):
        assert "[2Jgone" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["ada@example.com"], {"email": "ada@example.com"}),
        (["+15551234567"], {"phone": "+15551234567"}),
        (["+1 (555) 123.45-67"], {"phone": "+15551234567"}),
        (["phone:+1 555"], {"phone": "+1555"}),
        (["https://example.com/a@b"], {"webhook_url": "https://example.com/a@b"}),
        (["ada"], {"user_id": "ada"}),
        (["user:+1"], {"user_id": "+1"}),
        (["user:a:b"], {"user_id": "a:b"}),
        (["urn:ada"], {"user_id": "urn:ada"}),
        (["push:x", "push:y"], {"push_tokens": ["x", "y"]}),
        (["chat:slack://x", "ada"], {"chat_url": "slack://x", "user_id": "ada"}),
        (["ada", "ada"], {"user_id": "ada"}),
    ],
)
def test_what_an_address_is(given: list[str], expected: dict[str, Any]) -> None:
    assert recipient(given) == expected
