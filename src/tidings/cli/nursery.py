"""Imported once, by the process from which `tidings serve` forks the others: they share its memory.

Idle memory is mostly imported modules; shared, each further process costs about a fifth.
"""

import gc

from tidings.cli import api, worker

__all__ = ["api", "worker"]

# What is there now stays: the collector of a forked process need not look at it, and so does not write to
# its pages, which would copy them. See the notes of gc.freeze().
gc.collect()
gc.freeze()
