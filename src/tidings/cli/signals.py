"""Stopping when the system asks."""

import asyncio
import signal


def stopping() -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on. To be called in the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
