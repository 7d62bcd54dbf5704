"""The log tells what happens, by ids; it shows no address, no name, no content and no key."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.api.talkative import PRIVATE

pytestmark = pytest.mark.anyio


async def log_of(dsn: str, directory: Path, form: str) -> tuple[str, list[str]]:
    """What a talkative system writes to its standard error, and its keys."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.api.talkative", dsn, str(directory), form),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return errors.decode(), output.decode().split()


@pytest.mark.parametrize("form", ["json", "console"])
async def test_nothing_private(dsn: str, tmp_path: Path, form: str) -> None:
    log, keys = await log_of(dsn, tmp_path, form)
    assert len(keys) == 4
    for name, private in PRIVATE.items():
        for text in {private, private.split("@")[0], private[4:]}:
            assert text not in log, f"the {name} is in the log"
    for key in keys:
        assert key[4:] not in log
    # And it says what happened.
    for event in ("notification.accepted", "delivery.delivered", "request.failed", "api.started"):
        assert event in log
    if form == "json":
        lines = [json.loads(line) for line in log.splitlines()]
        counted = Counter(line["event"] for line in lines)
        assert (counted["request.failed"], counted["accept.failed"]) == (1, 1)
        assert all(line["level"] and line["timestamp"].endswith("Z") for line in lines)
        settled = [line for line in lines if line["event"].startswith("delivery.")]
        assert all(line["notification_id"] and line["delivery_id"] for line in settled)
        assert counted["delivery.failed"] >= 4
