"""Stopping when the system asks, or when the supervisor is gone."""

import asyncio
import os
import signal
import sys
from typing import Annotated

import typer

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
"""Given by `tidings serve` to the processes that it starts."""


def stopping(*, supervised: bool = False) -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on. To be called in the running loop.

    supervised: also when standard input ends. The supervisor holds its other end, so even a killed
    supervisor leaves nobody behind who would keep the port and the database from its successor.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if supervised:
        _watch(sys.stdin.fileno(), stop)
    return stop


def _watch(descriptor: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(descriptor, 1024):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, readable)
