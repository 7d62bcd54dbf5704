"""How often Python looks for garbage that refers to itself."""

import gc

_MADE = 50_000
"""Objects that are made, and not yet gone, between two looks. A batch makes thousands that live until it is stored:
with Python's 700, each is looked at again and again meanwhile, which is a sixth of the processor time of accepting."""


def collect_seldom() -> None:
    """For a process that works in batches. What is not part of a cycle goes at once, as ever."""
    gc.set_threshold(_MADE, 20, 20)
