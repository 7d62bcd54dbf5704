"""The key ring's file, changed: one process at a time, and in one step for those that read it."""

import contextlib
import fcntl
import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from tidings.store.keyring import KeyRingError, Keys, read_keys, write_keys


def add_key(path: Path) -> Keys:
    """Add a key to the ring in this file and make it active. Raises KeyRingError.

    The key is in the file, for good, before it is active: no value can be sealed with a key that a
    power cut takes away.
    """
    with _locked(path.parent):
        keys = read_keys(path)
        rotated = keys.rotated()
        write_keys(path, replace(rotated, active=keys.active))
        write_keys(path, rotated)
    return rotated


def remove_keys(path: Path, unused: Collection[int]) -> Keys:
    """Take keys out of the ring in this file; the active one stays. Raises KeyRingError."""
    with _locked(path.parent):
        keys = read_keys(path)
        left = {
            number: key
            for number, key in keys.keys.items()
            if number not in unused or number == keys.active
        }
        smaller = replace(keys, keys=left)
        write_keys(path, smaller)
    return smaller


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two rotations at once would both add a key under the same id, and one of them would be lost. The
    lock is the directory's: the file itself is replaced meanwhile."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise KeyRingError(f"cannot open {directory}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
