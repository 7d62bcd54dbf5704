"""The key ring: AES-256-GCM for what is secret, and keyed hashes to find addresses again.

A sealed value is `version (1 byte) | key id (2 bytes) | nonce (12 bytes) | ciphertext and tag`. It is
bound to the row it belongs to (GCM's associated data), so a value moved to another row does not open.
"""

import base64
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidings.domain.channels import Channel

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_VERSION = 1
_HEADER = 3
_NONCE = 12
MAX_KEY_ID = 0xFFFF
KEYS_AGE = 1.0
"""Seconds after which a running process reads its keys again before it seals: so long after a rotation
the old key may still be in use."""


class KeyRingError(Exception):
    """The key ring is missing, malformed or does not fit the data."""


@dataclass(frozen=True, slots=True)
class Keys:
    """active: the id that seals; keys: by id, 32 bytes each; hash_key: for addresses, never rotated."""

    active: int
    keys: dict[int, bytes] = field(repr=False)
    hash_key: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> "Keys":
        return cls(1, {1: secrets.token_bytes(32)}, secrets.token_bytes(32))

    def rotated(self) -> "Keys":
        """The same ring with a new active key; the old ones still open what they sealed."""
        new = max(self.keys) + 1
        if new > MAX_KEY_ID:
            raise KeyRingError(f"the key ring is full: {MAX_KEY_ID} rotations")
        return Keys(new, {**self.keys, new: secrets.token_bytes(32)}, self.hash_key)

    def follows(self, earlier: "Keys") -> bool:
        """Whether it is the same ring at a later time: keys added or removed, none exchanged."""
        return self.hash_key == earlier.hash_key and all(
            self.keys.get(number, key) == key for number, key in earlier.keys.items()
        )

    def dump(self) -> str:
        return json.dumps(
            {
                "active": self.active,
                "keys": {str(number): _encode(key) for number, key in self.keys.items()},
                "hash_key": _encode(self.hash_key),
            },
            indent=2,
        )

    @classmethod
    def parse(cls, text: str) -> "Keys":
        """Raises KeyRingError, without showing any of the text."""
        try:
            document: Any = json.loads(text)
            keys = {
                int(n): base64.b64decode(key, validate=True) for n, key in document["keys"].items()
            }
            active = int(document["active"])
            hash_key = base64.b64decode(document["hash_key"], validate=True)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise KeyRingError(
                'the key ring must be JSON like {"active": 1, "keys": {"1": "<32 bytes in base64>"}, '
                '"hash_key": "<32 bytes in base64>"}; `tidings keyring new` prints one'
            ) from None
        if active not in keys or any(not 1 <= number <= MAX_KEY_ID for number in keys):
            raise KeyRingError(
                "the key ring's active key is not among its keys, or a key id is out of range"
            )
        if any(len(key) != 32 for key in (*keys.values(), hash_key)):
            raise KeyRingError("every key of the key ring must be 32 bytes")
        return cls(active, keys, hash_key)


def header_of(key_id: int) -> bytes:
    """How a value sealed with this key begins."""
    return bytes([_VERSION]) + key_id.to_bytes(2, "big")


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


class KeyRing:
    """Seals and opens. reload: reads the keys again. That happens before sealing when they are older
    than KEYS_AGE, so that a rotation by another process is followed, and when a value names a key not
    known here. clock: seconds."""

    def __init__(
        self,
        keys: Keys,
        reload: Callable[[], Keys] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reload = reload
        self._clock = clock
        self._read_at = clock()
        self._use(keys)

    def _use(self, keys: Keys) -> None:
        self.keys = keys
        self._ciphers = {number: AESGCM(key) for number, key in keys.keys.items()}
        self._header = header_of(keys.active)
        self._active = self._ciphers[keys.active]

    def seal(self, plaintext: bytes, bound_to: bytes) -> bytes:
        if self._reload is not None and self._clock() - self._read_at > KEYS_AGE:
            self._refresh(self._reload)
        nonce = os.urandom(_NONCE)
        return self._header + nonce + self._active.encrypt(nonce, plaintext, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Raises KeyRingError when the key is missing or the value was changed or moved."""
        if len(sealed) < _HEADER + _NONCE or sealed[0] != _VERSION:
            raise KeyRingError("a value is not sealed in a way known here")
        number = int.from_bytes(sealed[1:_HEADER], "big")
        cipher = self._ciphers.get(number) or self._fetch(number)
        nonce = sealed[_HEADER : _HEADER + _NONCE]
        try:
            return cipher.decrypt(nonce, sealed[_HEADER + _NONCE :], bound_to)
        except InvalidTag:
            raise KeyRingError(
                f"a value sealed with key {number} does not open with this key ring"
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        return sealed[:_HEADER] == self._header

    def address_hash(self, channel: Channel, address: str) -> bytes:
        """16 bytes that find an address again; the same for every spelling of an email's case."""
        plain = address.casefold() if channel is Channel.EMAIL else address
        text = f"{channel}:{plain}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self.keys.hash_key, digest_size=16).digest()

    def _refresh(self, reload: Callable[[], Keys]) -> None:
        """A file that cannot be read at this moment must not stop the work: the keys at hand are good."""
        self._read_at = self._clock()
        try:
            keys = reload()
        except KeyRingError as error:
            log.warning("keyring.unreadable", error=str(error))
            return
        if not keys.follows(self.keys):
            log.warning("keyring.unreadable", error="the file holds another key ring")
        elif keys != self.keys:
            self._use(keys)
            log.info("keyring.changed", active=keys.active)

    def _fetch(self, number: int) -> AESGCM:
        if self._reload is not None:
            self._refresh(self._reload)
        cipher = self._ciphers.get(number)
        if cipher is None:
            raise KeyRingError(f"key {number} is not in the key ring")
        return cipher


def read_keys(path: Path) -> Keys:
    """Raises KeyRingError where there is no such file or it holds no key ring."""
    try:
        return Keys.parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise KeyRingError(f"cannot read the key ring {path}: {error.strerror}") from None


def write_keys(path: Path, keys: Keys) -> None:
    """Replace the file in one step, readable by its owner only; an existing file's owner and mode stay.
    Raises KeyRingError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if path.exists():
                before = path.stat()
                # Before the keys are written: a service must still be able to read what root rotated.
                os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            file.write(keys.dump())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise KeyRingError(f"cannot write the key ring {path}: {error.strerror}") from None


def create_keys(path: Path) -> Keys:
    """Make the development key ring, unless another process was faster. Raises KeyRingError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.first")
    write_keys(fresh, Keys.generate())
    try:
        os.link(fresh, path)  # fails where the file exists: exactly one process wins
        _sync_directory(path.parent)
    except FileExistsError:
        return read_keys(path)
    finally:
        fresh.unlink()
    return read_keys(path)


def _sync_directory(directory: Path) -> None:
    """The new name must survive a power cut: what is sealed with the new key does."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
