"""`tidings sandbox`, as a user starts it."""

import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.sandbox import fetch

COMMAND = (sys.executable, "-m", "tidings", "sandbox")


def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def started(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_runs_until_it_is_stopped() -> None:
    with started(
        "--port", "0", "--smtp-port", "0", "--apns-port", "0", "--callbacks", ""
    ) as process:
        shown = [line.split() for line in _greeting(process)]
        url = next(words[-1] for words in shown if words[:1] == ["Page"])
        assert fetch(url).status == 200
        assert b"Tidings" in fetch(url).body
        assert ["Calls", "back", "nobody"] in shown
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def _greeting(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if "Settings" in line:
            return


def test_settings_are_printed_without_starting_anything() -> None:
    shown = ran("--settings", "--port", "8026", "--vendor", "twilio")
    assert (shown.returncode, shown.stderr) == (0, "")
    accounts = tomllib.loads(shown.stdout)["accounts"]
    assert accounts.keys() == {"twilio", "webhook", "smtp"}
    assert accounts["twilio"]["endpoint"] == "http://127.0.0.1:8026/twilio"
    assert ran("--settings", "--port", "8026", "--vendor", "twilio").stdout == shown.stdout


@pytest.mark.parametrize("option", ["--port", "--smtp-port", "--apns-port"])
def test_a_port_that_is_taken(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = ran("--port", "0", "--smtp-port", "0", "--apns-port", "0", option, port)
    assert ended.returncode == 1
    assert "Cannot listen on 127.0.0.1" in ended.stderr


def test_a_vendor_that_is_none() -> None:
    ended = ran("--settings", "--vendor", "sengrid")
    assert ended.returncode == 1
    assert "No vendor 'sengrid'" in ended.stderr
