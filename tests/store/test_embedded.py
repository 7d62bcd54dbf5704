"""The embedded server: survives those who start it, and is found again."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tidings.store.embedded import EmbeddedServer, EmbeddedServerError

START = """
import sys, time
from pathlib import Path
from tidings.store.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).start(), flush=True)
time.sleep(600)
"""


def postmaster(directory: Path) -> int:
    return int((directory / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One data directory for all these tests; its path would break a shell's command line."""
    place = tmp_path_factory.mktemp("embedded") / "a b'ü;&?" / "postgres"
    yield place
    server = EmbeddedServer(place)
    if server.running():
        server.start()
        server.stop()


@pytest.fixture
def stopped(directory: Path) -> EmbeddedServer:
    server = EmbeddedServer(directory)
    server.start()
    server.stop()
    assert not server.running()
    return server


async def asked(url: str, question: str) -> object:
    connection = await asyncpg.connect(url.replace("/tidings?", "/postgres?"))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.mark.anyio
async def test_it_outlives_a_killed_starter_and_is_found_again(directory: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", START, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    url = starter.stdout.readline().strip()
    assert url.startswith("postgresql://"), url
    starter.kill()
    starter.wait()
    pid = postmaster(directory)

    server = EmbeddedServer(directory)
    assert server.running()
    assert server.start() == url
    assert postmaster(directory) == pid
    await server.ensure_database()
    await server.ensure_database()
    assert await asked(url, "SELECT count(*) FROM pg_database WHERE datname = 'tidings'") == 1
    server.stop()
    server.stop()
    assert not server.running()


@pytest.mark.anyio
async def test_it_is_durable_and_listens_to_nobody_else(directory: Path) -> None:
    server = EmbeddedServer(directory)
    url = server.start()
    assert await asked(url, "SHOW fsync") == "on"
    assert await asked(url, "SHOW synchronous_commit") == "on"
    assert await asked(url, "SHOW full_page_writes") == "on"
    assert await asked(url, "SHOW listen_addresses") == ""
    assert await asked(url, "SHOW unix_socket_permissions") == "0700"
    assert (directory.stat().st_mode & 0o077) == 0


@pytest.mark.anyio
async def test_settings_of_the_user_stay(stopped: EmbeddedServer) -> None:
    main = stopped.directory / "postgresql.conf"
    main.write_text(main.read_text() + "\nwork_mem = '7MB'\nmax_connections = 60\n")
    url = stopped.start()
    assert await asked(url, "SHOW work_mem") == "7MB"
    assert await asked(url, "SHOW max_connections") == "60"
    assert main.read_text().count("tidings.conf") == 1


def test_a_stale_pid_file_of_some_other_process(stopped: EmbeddedServer) -> None:
    """After a reboot the number may belong to anybody."""
    other = subprocess.Popen(["sleep", "600"])
    try:
        leave_pid_file(stopped.directory, other.pid)
        assert not stopped.running()
        stopped.start()
        assert stopped.running()
        assert postmaster(stopped.directory) != other.pid
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_stale_pid_file_of_another_postgres(
    server: EmbeddedServer, stopped: EmbeddedServer
) -> None:
    leave_pid_file(stopped.directory, postmaster(server.directory))
    assert not stopped.running()
    stopped.start()
    assert postmaster(stopped.directory) != postmaster(server.directory)
    stopped.stop()
    assert server.running()


@pytest.mark.parametrize("content", ["", "\n", "x", "-1", "0", "99999999", "4194305\n/nowhere\n"])
def test_a_stale_pid_file_that_says_nothing(stopped: EmbeddedServer, content: str) -> None:
    (stopped.directory / "postmaster.pid").write_text(content)
    assert not stopped.running()
    stopped.start()
    assert stopped.running()


def leave_pid_file(directory: Path, pid: int) -> None:
    """As a server leaves it that lost its power."""
    (directory / "postmaster.pid").write_text(
        f"{pid}\n{directory}\n1700000000\n5432\n{directory}\n\n        1         1\nready\n"
    )


@pytest.mark.anyio
async def test_committed_rows_survive_a_server_killed_outright(directory: Path) -> None:
    server = EmbeddedServer(directory)
    url = server.start()
    connection = await asyncpg.connect(url.replace("/tidings?", "/postgres?"))
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    await connection.close()
    subprocess.run(["kill", "-KILL", str(postmaster(directory))], check=True)
    found = EmbeddedServer(directory).start()
    assert await asked(found, "SELECT count(*) FROM kept") == 1_000


@pytest.mark.anyio
async def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / ("x" * 120) / "postgres")
    url = server.start()
    try:
        assert await asked(url, "SELECT 1") == 1
    finally:
        server.stop()


@pytest.mark.parametrize("character", '"$`\\,')
def test_a_path_that_cannot_be_quoted_is_refused(tmp_path: Path, character: str) -> None:
    with pytest.raises(EmbeddedServerError, match="may hold none of"):
        EmbeddedServer(tmp_path / f"a{character}b").start()


def test_it_says_where_to_look_when_it_does_not_start(stopped: EmbeddedServer) -> None:
    main = stopped.directory / "postgresql.conf"
    before = main.read_text()
    main.write_text(before + "\nno_such_setting = 1\n")
    try:
        with pytest.raises(EmbeddedServerError, match=r"see .*log"):
            stopped.start()
    finally:
        main.write_text(before)


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("not a directory")
    with pytest.raises(EmbeddedServerError, match=r"postgres: File exists"):
        EmbeddedServer(tmp_path / "postgres").start()
