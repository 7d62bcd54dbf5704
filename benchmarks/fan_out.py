"""Fan-out: one stream of a million recipients into one batch; rate and memory while it is accepted.

`python -m benchmarks.fan_out --lines 1000000`; ends by itself. Tidings is started as a user starts it, with its
workers sending into the in-app feed meanwhile.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from pyreqwest.client import SyncClientBuilder

from benchmarks.processes import (
    BenchmarkError,
    Child,
    call,
    environment,
    free_port,
    postmaster,
    stop_postgres,
    tree,
    wait_until,
)

_DEFAULTS = {"template_id": "fan_out", "priority": "low", "data": {"shop": "Shop & Daughters"}}
_TEMPLATE = {
    "id": "fan_out",
    "content": {"in_app": {"title": "{{ shop }}", "body": "Hello {{ name }}, {{ code }}"}},
}
_CHUNK = 500  # lines


def run(lines: int, *, limit: float, settle: float, directory: Path) -> dict[str, Any]:
    """limit: seconds for accepting; settle: for sending afterwards, 0 for not waiting. Raises BenchmarkError."""
    port = free_port()
    data = directory / "data"
    child = Child(
        [sys.executable, "-m", "tidings", "serve"],
        directory / "serve.log",
        environment=environment(TIDINGS_DATA_DIR=str(data), TIDINGS_API__PORT=str(port)),
    )
    try:
        wait_until(lambda: _ready(port), "GET /health/ready = 200", limit=120, child=child)
        key = (data / "api_key").read_text().strip()
        call(port, "POST", "/templates", _TEMPLATE, key=key)
        postgres = postmaster(data / "postgres")[0]
        with _peaks([child.pid], apart=postgres) as peaks:
            result = _stream(port, key, lines, limit)
            result |= _settled(port, key, result["batch_id"], settle)
        return {**result, "peak_rss_mb": peaks}
    finally:
        child.stop()
        stop_postgres(data / "postgres")


def _stream(port: int, key: str, lines: int, limit: float) -> dict[str, Any]:
    began = time.monotonic()
    url = f"http://127.0.0.1:{port}/notifications/bulk"
    refused, batch_id, last, shown = 0, "", {}, 0.0
    with SyncClientBuilder().no_proxy().build() as client:
        request = client.post(url).bearer_auth(key).timeout(timedelta(seconds=limit))
        request = request.header("content-type", "application/x-ndjson").body_stream(_body(lines))
        with request.build_streamed() as response:
            if response.status != 202:
                raise BenchmarkError(f"the stream was answered with {response.status}")
            for answer in _answers(response.body_reader):
                batch_id = answer.get("batch_id", batch_id)
                refused += "line" in answer
                last = answer
                if time.monotonic() - shown > 1:
                    shown = time.monotonic()
                    print(f"\r{answer.get('lines', 0):,} lines", end="", file=sys.stderr)
    seconds = time.monotonic() - began
    print(file=sys.stderr)
    if not last.get("done") or refused:
        raise BenchmarkError(f"the stream ended with {last}, {refused} refused")
    return {
        "batch_id": batch_id,
        "lines": lines,
        "seconds": round(seconds, 1),
        "lines_per_second": round(lines / seconds),
    }


def _body(lines: int) -> Iterator[bytes]:
    yield json.dumps({"defaults": _DEFAULTS}).encode() + b"\n"
    for first in range(0, lines, _CHUNK):
        yield b"".join(
            b'{"recipient":{"user_id":"user-%d"},"data":{"name":"Grace Hopper","code":"C-%d"}}\n'
            % (number, number)
            for number in range(first, min(first + _CHUNK, lines))
        )


def _answers(reader: Any) -> Iterator[dict[str, Any]]:
    begun = b""
    while (chunk := reader.read_chunk()) is not None:
        *ended, begun = (begun + bytes(chunk)).split(b"\n")
        yield from map(json.loads, ended)


def _settled(port: int, key: str, batch_id: str, settle: float) -> dict[str, Any]:
    """What the batch says of itself, when it is complete or the time is over."""
    deadline = time.monotonic() + settle
    while True:
        asked = time.monotonic()
        status, batch = call(port, "GET", f"/batches/{batch_id}", key=key)
        took = time.monotonic() - asked
        if status != 200:
            raise BenchmarkError(f"GET /batches/{batch_id} was answered with {status}")
        if batch["complete"] or time.monotonic() > deadline:
            return {
                "accepted": batch["accepted"],
                "complete": batch["complete"],
                "deliveries": {name: n for name, n in batch["deliveries"].items() if n},
                "count_seconds": round(took, 2),
            }
        time.sleep(5)


@contextmanager
def _peaks(pids: list[int], *, apart: int) -> Iterator[dict[str, float]]:
    """The highest RSS of each process of Tidings, PostgreSQL's apart, looked at twice a second."""
    found: dict[str, float] = {}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            spared = {one.pid for one in tree([apart])}
            for process in tree(pids):
                if process.pid not in spared:
                    _note(process, found)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _note(process: psutil.Process, found: dict[str, float]) -> None:
    try:
        name = f"{process.pid}"
        found[name] = max(found.get(name, 0.0), round(process.memory_info().rss / 2**20, 1))
    except psutil.NoSuchProcess:
        return


def _ready(port: int) -> bool:
    try:
        return call(port, "GET", "/health/ready")[0] == 200
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=1_200, help="seconds for accepting")
    parser.add_argument("--settle", type=float, default=0, help="seconds for sending afterwards")
    parser.add_argument("--dir", type=Path, default=None, help="where the database lies meanwhile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidings-fan-out-", dir=given.dir) as directory:
        result = run(given.lines, limit=given.limit, settle=given.settle, directory=Path(directory))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
