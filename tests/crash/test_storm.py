"""The storm in its short form: API and workers killed each second at full load, PostgreSQL restarted meanwhile."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.crash

ROOT = Path(__file__).parents[2]


def test_a_storm_loses_nothing_and_doubles_nothing_unmarked(tmp_path: Path) -> None:
    """In a process of its own: it holds its processes by a fork server, of which there is one in each."""
    written = tmp_path / "verdict.json"
    command = (
        *(sys.executable, "-m", "benchmarks", "storm", "--seconds", "6", "--restarts", "1"),
        *("--lease", "2.5", "--callers", "8", "--json", str(written)),
    )
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert written.exists(), ended.stdout + ended.stderr
    verdict = json.loads(written.read_text())
    assert verdict["passed"], verdict
    assert verdict["accepted"] > 0
    assert verdict["kills"] > 0
    assert verdict["restarts"] == 1
