"""`tidings user preferences` and `tidings user explain`."""

import secrets
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def name() -> str:
    return f"chooser-{secrets.token_hex(4)}"


IN_APP = 'title = "Hi"\nbody = "Hi"\n'


def push(tidings: Cli, folder: Path, template_id: str, *, in_app: bool) -> None:
    """A template of the category social, for email and perhaps the feed."""
    place = folder / "templates" / template_id
    place.mkdir(parents=True)
    (place / "template.toml").write_text('category = "social"\n')
    (place / "email.subject.txt").write_text("Hi")
    (place / "email.text.txt").write_text("Hi")
    if in_app:
        (place / "in_app.toml").write_text(IN_APP)
    tidings("template", "push", place.parent)


def test_choices_are_set_shown_and_taken_back(tidings: Cli, name: str) -> None:
    assert "Nothing chosen." in tidings("user", "preferences", "show", name).out
    shown = tidings(
        *("user", "preferences", "set", name),
        *("--off", "channels.sms", "--on", "categories.news.daily.email"),
        *("--off", "templates.note.push", "--digest", "news=weekly"),
        *("--quiet-hours", "22:00-07:00", "--quiet-day", "friday"),
        *("--digest-at", "18:30", "--digest-day", "sunday"),
    ).out
    rows = {" ".join(line.split()) for line in shown.splitlines()}
    assert rows >= {
        "channels.sms off",
        "categories.news.daily.email on",
        "templates.note.push off",
        "digests.news weekly",
        "quiet_hours 22:00 to 07:00, friday",
        "digest_time 18:30, weekly on sunday",
    }
    taken_back = ("categories.news.daily.email", "templates", "quiet_hours", "digest_time")
    unset = [word for path in taken_back for word in ("--unset", path)]
    after = tidings("user", "preferences", "set", name, *unset, "--json").document
    assert after == {"channels": {"sms": False}, "categories": {}, "digests": {"news": "weekly"}}
    assert tidings("user", "preferences", "show", name, "--json").document == after


def test_the_history_names_each_change(tidings: Cli, name: str) -> None:
    assert "No changes." in tidings("user", "preferences", "history", name).out
    tidings("user", "preferences", "set", name, "--off", "channels.sms")
    tidings("user", "preferences", "set", name, "--on", "channels.sms")
    text = tidings("user", "preferences", "history", name).out
    newest, oldest = (line.split() for line in text.splitlines() if "channels.sms" in line)
    assert newest[-4:] == ["api", "channels.sms", "off", "on"]
    assert oldest[-3:] == ["not", "chosen", "off"]
    (latest,) = tidings("user", "preferences", "history", name, "-n", "1", "--json").documents
    assert latest["changes"] == [{"path": "channels.sms", "before": False, "after": True}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name what to change"),
        (("--off", "sms"), "does not begin with one of"),
        (("--off", "categories.news"), "does not end with a channel"),
        (("--off", "quiet_hours"), "does not end with a channel"),
        (("--off", "channels.sms", "--on", "channels.sms"), "named twice"),
        (("--off", "channels.sms", "--unset", "channels"), "named twice"),
        (("--quiet-hours", "night"), "write 22:00-07:00"),
        (("--quiet-day", "friday"), "write 22:00-07:00"),
    ],
)
def test_what_cannot_be_read_changes_nothing(
    alone: Cli, arguments: tuple[str, ...], said: str
) -> None:
    assert said in alone("user", "preferences", "set", "ann", *arguments, status=2).err


def test_what_the_api_refuses_is_told(tidings: Cli, name: str) -> None:
    wrong = ("--quiet-hours", "22:00-22:00")
    assert "quiet_hours.to" in tidings("user", "preferences", "set", name, *wrong, status=1).err


def test_whether_a_user_would_get_it(tidings: Cli, name: str, tmp_path: Path) -> None:
    push(tidings, tmp_path, name, in_app=True)
    tidings("user", "set", name, "--email", f"{name}@example.com")
    tidings("user", "preferences", "set", name, "--off", "categories.social.in_app")
    text = tidings("user", "explain", name, "--template", name).out
    assert f"{name} would get it" in text
    assert "stored_address" in text
    assert "in_app: skipped" in text
    assert "category_choice" in text
    tidings("suppression", "add", f"{name}@example.com")
    text = tidings("user", "explain", name, "--template", name).out
    assert f"{name} would not get it" in text
    assert "email: suppressed" in text


def test_a_stranger_cannot_be_reached(tidings: Cli, name: str, tmp_path: Path) -> None:
    push(tidings, tmp_path, name, in_app=False)
    assert "cannot be reached" in tidings("user", "explain", name, "--template", name).out
    answer = tidings("user", "explain", name, "--template", name, "--json").document
    assert (answer["would_send"], answer["channels"]) == (False, [])


def test_no_such_template(tidings: Cli, name: str) -> None:
    assert "no template" in tidings("user", "explain", name, "-t", "none", status=1).err
