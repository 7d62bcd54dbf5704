"""The processes: serve, api, worker, migrate."""

import json
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from tests.cli.conftest import (
    Cli,
    Serving,
    free_port,
    in_process_of_its_own,
    on_a_terminal,
    start,
    stop,
    until_it_answers,
)
from tidings.store import migrate
from tidings.store.embedded import EmbeddedServer


def test_serve_starts_an_api_and_its_workers(serving: Serving) -> None:
    events = [json.loads(line) for line in serving.log.read_text().splitlines()]
    started = {event["child"] for event in events if event["event"] == "process.started"}
    assert started == {"api-1", "worker-1", "worker-2"} - (
        {"worker-2"} if os.cpu_count() == 1 else set()
    )


def test_serve_keeps_its_secrets_to_its_owner(serving: Serving) -> None:
    for name in ("api_key", "keyring.json"):
        assert (serving.data_dir / name).stat().st_mode & 0o077 == 0


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_ends_in_good_order(dsn: str, tmp_path: Path, number: int) -> None:
    port = free_port()
    variables = {
        "TIDINGS_DATABASE_URL": dsn,
        "TIDINGS_DATA_DIR": str(tmp_path),
        "TIDINGS_API__PORT": str(port),
    }
    process = start("serve", variables=variables, log=tmp_path / "log")
    try:
        until_it_answers(f"http://127.0.0.1:{port}/health/ready", process, tmp_path / "log")
    finally:
        status = stop(process, number)
    written = (tmp_path / "log").read_text()
    assert status == 0, written
    assert "worker.stopped" in written
    assert "api.stopped" in written
    assert "process.died" not in written


@pytest.mark.anyio
async def test_api_and_worker_run_alone(dsn: str, tmp_path: Path) -> None:
    api_port, metrics_port = free_port(), free_port()
    variables = {
        "TIDINGS_DATABASE_URL": dsn,
        "TIDINGS_DATA_DIR": str(tmp_path),
        "TIDINGS_API__PORT": str(api_port),
        "TIDINGS_WORKER__METRICS_PORT": str(metrics_port),
    }
    api = start("api", variables=variables, log=tmp_path / "api.log")
    worker = start("worker", variables=variables, log=tmp_path / "worker.log")
    try:
        ready = f"http://127.0.0.1:{api_port}/health/ready"
        until_it_answers(ready, api, tmp_path / "api.log")
        metrics = f"http://127.0.0.1:{metrics_port}/metrics"
        text = until_it_answers(metrics, worker, tmp_path / "worker.log").decode()
        assert "tidings_deliveries_settled" in text
    finally:
        assert (stop(api), stop(worker)) == (0, 0)


def test_api_says_when_it_cannot_listen(tmp_path: Path) -> None:
    variables = {
        "TIDINGS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "TIDINGS_DATA_DIR": str(tmp_path),
        "TIDINGS_API__HOST": "192.0.2.1",  # TEST-NET-1: no machine has it
    }
    ended = in_process_of_its_own("api", variables=variables)
    assert ended.status == 1
    assert "Cannot listen on 192.0.2.1" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["worker", "migrate"])
def test_a_database_that_is_not_there_is_said(tmp_path: Path, command: str) -> None:
    variables = {
        "TIDINGS_DATABASE_URL": "postgresql://nobody:hunter2@127.0.0.1:1/none",
        "TIDINGS_DATA_DIR": str(tmp_path),
    }
    ended = in_process_of_its_own(command, variables=variables)
    assert ended.status == 1
    assert "The database cannot be reached" in ended.err
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.anyio
async def test_migrate(server: EmbeddedServer, alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"cli_{os.getpid()}"
    url = server.url.replace("/tidings?", f"/{name}?")
    admin = await asyncpg.connect(server.url.replace("/tidings?", "/postgres?"))
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        variables = {"TIDINGS_DATABASE_URL": url}
        assert "`tidings migrate`" in in_process_of_its_own("key", "list", variables=variables).err
        first = in_process_of_its_own("migrate", variables=variables)
        assert first.out == f"The schema is up to date: revision {migrate.newest()}.\n"
        again = in_process_of_its_own("migrate", "--quiet", variables=variables)
        assert (again.status, again.out, again.err) == (0, "", "")
        assert in_process_of_its_own("key", "list", variables=variables).out == "No keys.\n"
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


def test_serve_greets_on_a_terminal(tmp_path: Path) -> None:
    """With a database that cannot be reached it ends soon after."""
    shown = on_a_terminal(
        "serve",
        variables={
            "TIDINGS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "TIDINGS_DATA_DIR": str(tmp_path),
            "TIDINGS_API__PORT": "18999",
            "TIDINGS_ACCOUNTS__MAIN__PROVIDER": "smtp",
        },
    )
    assert "http://127.0.0.1:18999/docs" in shown
    assert str(tmp_path / "api_key") in shown
    assert "main (smtp)" in shown
    assert "The database cannot be reached" in shown
