"""The key ring: AES-256-GCM for what is secret, and keyed hashes to find addresses again.

A sealed value is `version (1 byte) | key id (2 bytes) | nonce (12 bytes) | ciphertext and tag`. It is
bound to the row it belongs to (GCM's associated data), so a value moved to another row does not open.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidings.domain.channels import Channel

_VERSION = 1
_HEADER = 3
_NONCE = 12
MAX_KEY_ID = 0xFFFF


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
        except (ValueError, KeyError, TypeError, AttributeError):
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


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


class KeyRing:
    """Seals and opens. reload: reads the keys again when a value names a key not known here, which
    happens in running processes after a rotation by another one."""

    def __init__(self, keys: Keys, reload: Callable[[], Keys] | None = None) -> None:
        self._reload = reload
        self._use(keys)

    def _use(self, keys: Keys) -> None:
        self.keys = keys
        self._ciphers = {number: AESGCM(key) for number, key in keys.keys.items()}
        self._header = bytes([_VERSION]) + keys.active.to_bytes(2, "big")
        self._active = self._ciphers[keys.active]

    def seal(self, plaintext: bytes, bound_to: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return self._header + nonce + self._active.encrypt(nonce, plaintext, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Raises KeyRingError when the key is missing or the value was changed or moved."""
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

    def _fetch(self, number: int) -> AESGCM:
        if self._reload is not None:
            self._use(self._reload())
        cipher = self._ciphers.get(number)
        if cipher is None:
            raise KeyRingError(f"key {number} is not in the key ring")
        return cipher


def read_keys(path: Path) -> Keys:
    """Raises KeyRingError where there is no such file or it holds no key ring."""
    try:
        return Keys.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyRingError(f"cannot read the key ring {path}: {error.strerror}") from None


def write_keys(path: Path, keys: Keys) -> None:
    """Replace the file in one step, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(keys.dump())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def create_keys(path: Path) -> Keys:
    """Make the development key ring, unless another process was faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.first")
    write_keys(fresh, Keys.generate())
    try:
        os.link(fresh, path)  # fails where the file exists: exactly one process wins
    except FileExistsError:
        return read_keys(path)
    finally:
        fresh.unlink()
    return read_keys(path)
