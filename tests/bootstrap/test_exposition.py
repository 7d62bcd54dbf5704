"""What /metrics tells of processes that are gone."""

import os
import subprocess
import sys
from pathlib import Path

from tidings.bootstrap.exposition import forget_the_dead


def test_the_dead_say_nothing_of_themselves(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    kept = {f"gauge_livesum_{os.getpid()}.db", f"counter_{dead.pid}.db", f"gauge_all_{dead.pid}.db"}
    for name in (*kept, f"gauge_livesum_{dead.pid}.db", f"gauge_livemostrecent_{dead.pid}.db"):
        (tmp_path / name).touch()
    forget_the_dead(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
