"""How often Python looks for garbage, in the processes that work in batches."""

import gc

from tidings.cli.collecting import collect_seldom


def test_seldom_but_still() -> None:
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.get_threshold()[0] >= 10_000
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
