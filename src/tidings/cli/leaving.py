"""Ending a process that has called providers."""

import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """Exit at once, without taking the interpreter apart.

    pyreqwest 0.15 ends a call from a thread of its own, which may still hold on to Python when the
    interpreter is taken apart; then CPython aborts ("PyGILState_Release: thread state must be current"),
    one time in ten after a last call. What there is to close is closed when this is called.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
