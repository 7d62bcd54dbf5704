"""The demo, as a user starts it; and that it does not hide what goes wrong."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.demo.installation import DemoError
from examples.demo.play import play
from examples.mail_server import Mail, MailServer
from rich.console import Console

ROOT = Path(__file__).parents[1]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory for sockets, whose path must be short."""
    with tempfile.TemporaryDirectory(prefix="tidings-test-") as directory:
        yield Path(directory)


def _demo(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_everything_arrives_and_nothing_is_left_behind(short: Path) -> None:
    done = _demo(TMPDIR=str(short))
    assert done.returncode == 0, done.stderr
    for shown in (
        "first notification",
        "MAIL FROM:<hello@myapp.com>  RCPT TO:<john.doe@example.com>",
        "Subject: Welcome to My Awesome App, John Doe",
        "'app_name' is undefined",
        "signature verified at the second call",
        "the in-app feed: 2 unread",
        "All is as it should be: 7 notifications, 13 deliveries",
        "Hello by Telegram",
        "bounced ✓",
    ):
        assert shown in done.stdout
    assert done.stdout.count("All is as it should be") == 2  # without and with vendors
    assert list(short.iterdir()) == []


class _Losing(MailServer):
    """Says that it took a mail, and loses it."""

    def take(self, mail: Mail) -> None:
        if "sign-in" not in str(mail.message["Subject"]):
            super().take(mail)


def test_a_mail_that_is_lost_is_noticed(short: Path) -> None:
    with pytest.raises(DemoError, match=r"did not arrive: to john\.doe@example\.com, 'New sign-in"):
        asyncio.run(play(Console(quiet=True), short, keep=False, mails=_Losing()))


class _Doubling(MailServer):
    def take(self, mail: Mail) -> None:
        super().take(mail)
        super().take(mail)


def test_a_directory_is_kept_and_a_doubled_mail_is_noticed(short: Path) -> None:
    """The second run uses what the first one left."""
    first = _demo("--data", str(short))
    assert first.returncode == 0, first.stderr
    assert {one.name for one in short.iterdir()} == {"data", "serve.log", "tidings.toml"}
    with pytest.raises(DemoError, match="should not have arrived"):
        asyncio.run(play(Console(quiet=True), short, keep=False, mails=_Doubling()))


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a directory")
    done = _demo("--data", str(file))
    assert done.returncode == 1
    assert "cannot write" in done.stderr
