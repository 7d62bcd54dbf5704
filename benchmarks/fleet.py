"""API and worker processes of Tidings that are killed and started again at once, as a hard supervisor would."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from benchmarks.processes import BenchmarkError
from tidings.cli.nursed import nursed

_forks = multiprocessing.get_context("forkserver")

_LOOK = 0.1  # seconds between looks at who has died


class Member:
    """One process of the fleet, whichever it is at the moment."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.killed = 0
        self._command = (*command, "--supervised")
        self._process: ForkServerProcess | None = None
        self._lifeline: Connection | None = None

    def start(self) -> None:
        theirs, ours = _forks.Pipe(duplex=False)
        self._drop_lifeline()
        self._process = _forks.Process(target=nursed, args=(theirs, self._command), name=self.name)
        self._process.start()
        theirs.close()
        self._lifeline = ours

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no handler, no clean-up."""
        if self.alive and self._process is not None and self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
                self.killed += 1

    def stop(self, grace: float) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join(grace)
            self._process.kill()
            self._process.join()
        self._drop_lifeline()

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None


class Fleet:
    """Starts every member, and again whenever one is found dead."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    @property
    def killed(self) -> int:
        return sum(member.killed for member in self.members)

    def add(self, member: Member) -> None:
        """It is started with the next look."""
        self.members.append(member)

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK):
            for member in tuple(self.members):
                if not member.alive:
                    member.start()

    def _end(self) -> None:
        self._stop.set()
        self._keeper.join()
        for member in self.members:
            member.stop(grace=15)

    @classmethod
    @contextlib.contextmanager
    def run(
        cls, members: Sequence[Member], variables: Mapping[str, str], log: Path
    ) -> Iterator["Fleet"]:
        """variables: settings of Tidings; they become this process's, since the others are forked from one
        that has its environment. log: where they write to."""
        if forkserver._forkserver._forkserver_pid is not None:  # type: ignore[attr-defined]  # no public way to ask
            raise BenchmarkError("one fleet in a process: the others would have its settings")
        for name in [name for name in os.environ if name.startswith("TIDINGS_")]:
            del os.environ[name]
        os.environ.update(variables)
        _forks.set_forkserver_preload(["tidings.cli.nursery"])
        with _output_to(log):
            forkserver.ensure_running()
        fleet = cls(members)
        for member in members:
            member.start()
        fleet._keeper.start()
        try:
            yield fleet
        finally:
            fleet._end()


@contextlib.contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """What is started meanwhile writes there: its descriptors are copies of ours."""
    kept = os.dup(1), os.dup(2)
    with file.open("ab") as opened:
        for number in (1, 2):
            os.dup2(opened.fileno(), number)
    try:
        yield
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
