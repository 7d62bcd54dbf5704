"""`tidings serve` killed with SIGKILL: its processes follow it, and the next start finds everything again."""

import os
import signal
import time
import urllib.error
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import free_port, start, stop, until_it_answers
from tests.crash.calls import call

pytestmark = pytest.mark.crash


def test_killed_and_started_again(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    variables = {
        "TIDINGS_DATA_DIR": str(tmp_path / "data"),
        "TIDINGS_API__PORT": str(port),
        "TIDINGS_LOG__FORMAT": "json",
    }
    first = start("serve", variables=variables, log=log)
    try:
        until_it_answers(f"{url}/health/ready", first, log)
        key = (tmp_path / "data" / "api_key").read_text().strip()
        content = {"in_app": {"title": "t", "body": "{{ n }}"}}
        call(url, key, "POST", "/templates", {"id": "note", "content": content})
        later = {"template_id": "note", "recipient": {"user_id": "u"}, "data": {"n": 1}}
        accepted = call(url, key, "POST", "/notifications/send", later)["notification_id"]
        children = psutil.Process(first.pid).children(recursive=True)
        assert len(children) >= 2
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive, "API and worker end by themselves"
        second = start("serve", variables=variables, log=log)
        try:
            until_it_answers(f"{url}/health/ready", second, log)
            assert (tmp_path / "data" / "api_key").read_text().strip() == key
            status = call(url, key, "GET", f"/notifications/{accepted}/status")
            assert status["notification_id"] == accepted
        finally:
            assert stop(second) == 0
    finally:
        if first.poll() is None:
            stop(first)
    server = tmp_path / "data" / "postgres" / "postmaster.pid"
    assert not server.exists(), "the last one to leave stops the embedded server"


def first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0]
    except FileNotFoundError:
        return ""


def test_a_killed_database_is_started_again(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    variables = {"TIDINGS_DATA_DIR": str(tmp_path / "data"), "TIDINGS_API__PORT": str(port)}
    serving = start("serve", variables=variables, log=log)
    try:
        until_it_answers(f"{url}/health/ready", serving, log)
        key = (tmp_path / "data" / "api_key").read_text().strip()
        pid_file = tmp_path / "data" / "postgres" / "postmaster.pid"
        pid = int(pid_file.read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not pid_file.exists() or first_line(pid_file) in {"", str(pid)}:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        content = {"in_app": {"title": "t", "body": "b"}}
        while True:  # a connection that died with the server may answer 503 once more
            until_it_answers(f"{url}/health/ready", serving, log)
            try:
                created = call(url, key, "POST", "/templates", {"id": "note", "content": content})
                break
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
        assert created["version"] == 1
    finally:
        stop(serving)
