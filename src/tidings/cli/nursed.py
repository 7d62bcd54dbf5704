"""What runs in a process forked from the nursery."""

import os
import sys
from multiprocessing.connection import Connection

from tidings.cli import main


def nursed(lifeline: Connection, arguments: tuple[str, ...]) -> None:
    """Run a command of `tidings`. lifeline: becomes its standard input, which ends with the supervisor."""
    os.setsid()  # Ctrl+C in the terminal is the supervisor's to handle
    os.dup2(lifeline.fileno(), 0)
    lifeline.close()
    sys.stdin = os.fdopen(0, closefd=False)
    main(arguments)
