"""The sink, as the benchmark holds it: started, asked, stopped."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.processes import BenchmarkError, Child, call, environment
from benchmarks.work import Work


class SinkProcess:
    def __init__(self, directory: Path) -> None:
        self._child = Child(
            [sys.executable, "-m", "benchmarks.sink"],
            directory / "sink.log",
            environment=environment(),
            pipe=True,
        )
        assert self._child.popen.stdout is not None
        line = self._child.popen.stdout.readline()
        if not line:
            raise BenchmarkError(f"the sink did not start: {self._child.last_words()}")
        ports = json.loads(line)
        self.http_port: int = ports["http"]
        self.smtp_port: int = ports["smtp"]

    @property
    def hook_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/hook"

    def reset(self, work: Work) -> None:
        self._ask("/_reset?" + urlencode({"run": work.run, "latency_ms": work.latency_ms}))

    def fault(self, refusing: float, latency_ms: float) -> None:
        """From now on refuse this share of the mail for now, and answer late."""
        self._ask("/_fault?" + urlencode({"refusing": refusing, "latency_ms": latency_ms}))

    def arrived(self) -> int:
        """Unique references of this run so far."""
        count: int = self._ask("/_count")["unique"]
        return count

    def statistics(self) -> dict[str, Any]:
        return self._ask("/_stats")

    def message_ids(self) -> dict[str, int]:
        """How often each message id (webhook-id, Message-ID) arrived."""
        return self._ask("/_ids")

    def stop(self) -> None:
        self._child.stop(grace=5)

    def _ask(self, path: str) -> dict[str, Any]:
        try:
            status, answer = call(self.http_port, "GET", path)
        except OSError as error:
            raise BenchmarkError(f"the sink does not answer: {self._child.last_words()}") from error
        if status != 200:
            raise BenchmarkError(f"the sink answered {path} with {status}")
        assert isinstance(answer, dict)
        return answer
