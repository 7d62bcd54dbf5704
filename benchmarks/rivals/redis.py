"""A Redis of the rival's own: append-only file, synced each second, as brokers are run in production."""

import socket
import subprocess
from pathlib import Path

from benchmarks.processes import Child, environment, free_port, wait_until


class Redis:
    """port: on loopback, its only address."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self.child: Child | None = None

    def start(self) -> None:
        """Raises BenchmarkError."""
        data = self._directory / "redis"
        data.mkdir()
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            # What BullMQ asks for, and right for any queue: nothing in it may be thrown away.
            "maxmemory-policy": "noeviction",
        }
        command = ["redis-server", *(word for k, v in options.items() for word in (f"--{k}", v))]
        self.child = Child(command, self._directory / "redis.log", environment=environment())
        wait_until(self._answers, "an answer of Redis", limit=15, child=self.child)

    def version(self) -> str:
        answer = subprocess.run(
            ["redis-server", "--version"], capture_output=True, text=True, check=True
        )
        return answer.stdout.partition("v=")[2].partition(" ")[0]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
