"""Sealing, the key ring's file, and the ways in which both can be wrong."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.bootstrap.foundation import check_keyring, open_keyring
from tidings.domain.channels import Channel
from tidings.settings import Settings, SettingsError
from tidings.store.keyring import KeyRing, KeyRingError, Keys, create_keys, read_keys, write_keys

RING = KeyRing(Keys.generate())
ROW = b"0123456789abcdef"


@given(st.binary(max_size=2_000), st.binary(max_size=40))
def test_round_trip(plaintext: bytes, bound_to: bytes) -> None:
    sealed = RING.seal(plaintext, bound_to)
    assert RING.open(sealed, bound_to) == plaintext
    assert RING.is_current(sealed)
    if len(plaintext) >= 8:
        assert plaintext not in sealed


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert len({RING.seal(b"text", ROW) for _ in range(100)}) == 100


@given(st.data())
def test_a_changed_value_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(b"some text", ROW))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KeyRingError):
        RING.open(bytes(sealed), ROW)


@given(st.integers(0, 60))
def test_a_cut_value_does_not_open(length: int) -> None:
    sealed = RING.seal(b"some text that is longer", ROW)
    if length < len(sealed):
        with pytest.raises(KeyRingError):
            RING.open(sealed[:length], ROW)


@given(st.binary(max_size=64))
def test_what_was_never_sealed_does_not_open(value: bytes) -> None:
    with pytest.raises(KeyRingError):
        RING.open(value, ROW)


def test_a_value_moved_to_another_row_does_not_open() -> None:
    sealed = RING.seal(b"text", ROW)
    with pytest.raises(KeyRingError):
        RING.open(sealed, b"another row's id")


def test_another_ring_does_not_open() -> None:
    sealed = RING.seal(b"text", ROW)
    with pytest.raises(KeyRingError, match="does not open"):
        KeyRing(Keys.generate()).open(sealed, ROW)


def test_an_unknown_key_makes_it_read_the_keys_again() -> None:
    old = Keys.generate()
    new = old.rotated()
    sealed = KeyRing(new).seal(b"text", ROW)
    with pytest.raises(KeyRingError, match="key 2 is not in the key ring"):
        KeyRing(old).open(sealed, ROW)
    following = KeyRing(old, reload=lambda: new)
    assert following.open(sealed, ROW) == b"text"
    assert following.open(KeyRing(old).seal(b"before", ROW), ROW) == b"before"


def test_address_hashes() -> None:
    assert len(RING.address_hash(Channel.EMAIL, "ann@example.com")) == 16
    assert RING.address_hash(Channel.EMAIL, "ANN@Example.com") == RING.address_hash(
        Channel.EMAIL, "ann@example.com"
    )
    for channel in set(Channel) - {Channel.EMAIL}:
        assert RING.address_hash(channel, "A") != RING.address_hash(channel, "a")
    assert len({RING.address_hash(channel, "same") for channel in Channel}) == len(Channel)
    other = KeyRing(Keys.generate())
    assert other.address_hash(Channel.SMS, "+1") != RING.address_hash(Channel.SMS, "+1")
    rotated = KeyRing(RING.keys.rotated())
    assert rotated.address_hash(Channel.SMS, "+1") == RING.address_hash(Channel.SMS, "+1")


def test_nothing_shows_a_key() -> None:
    keys = Keys.generate()
    for shown in (repr(keys), str(keys), repr(KeyRing(keys))):
        for secret in json.loads(keys.dump())["keys"].values():
            assert secret not in shown
        assert repr(keys.keys[1]) not in shown
        assert repr(keys.hash_key) not in shown


def document(**changes: Any) -> str:
    return json.dumps({**json.loads(Keys.generate().dump()), **changes})


ACTIVE: list[Any] = [2, 0, -1, None, "one", [], 1e30]
HASH_KEY: list[Any] = ["", "!!!", None, 1, "QQ==", "Q" * 44]
KEYS: list[Any] = [{}, [], None, {"1": "QQ=="}, {"x": "Q" * 44}, {"1": 1}, {"0": "Q" * 43 + "="}]
WRONG = [
    *("", "{}", "[]", "null", "1", '"x"', "{", "\0", "[" * 5_000),
    *(document(active=value) for value in ACTIVE),
    *(document(hash_key=value) for value in HASH_KEY),
    *(document(keys=value) for value in KEYS),
    document(active=7).replace("7", "1e999"),
    document(keys={"65536": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}, active=65_536),
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:20])
def test_a_file_that_holds_no_key_ring(text: str) -> None:
    with pytest.raises(KeyRingError):
        Keys.parse(text)


@given(st.text(max_size=60))
def test_a_wrong_key_ring_is_not_shown(text: str) -> None:
    with pytest.raises(KeyRingError) as caught:
        Keys.parse(document(hash_key=f"marker{text}"))
    assert "marker" not in str(caught.value)


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "below" / "keyring.json"
    keys = Keys.generate().rotated()
    write_keys(path, keys)
    assert read_keys(path) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["keyring.json"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_made_readable_by_its_owner_only(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        create_keys(tmp_path / "keyring.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keyring.json").stat().st_mode) == 0o600


def test_missing_or_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="cannot read"):
        read_keys(tmp_path / "nothing.json")
    with pytest.raises(KeyRingError, match="cannot read"):
        read_keys(tmp_path)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(KeyRingError, match="must be JSON"):
        read_keys(tmp_path / "binary")


_CREATE = """
import sys
from pathlib import Path
from tidings.store.keyring import create_keys
sys.stdin.readline()  # all start together
print(create_keys(Path(sys.argv[1])).dump())
"""


def test_processes_that_start_at_once_make_one_ring(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _CREATE, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    printed = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(printed) == 1
    assert Keys.parse(printed.pop()) == read_keys(path)
    assert [one.name for one in tmp_path.iterdir()] == ["keyring.json"]


def test_production_needs_a_configured_ring(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_KEYRING_FILE"):
        open_keyring(Settings(environment="production", data_dir=tmp_path))
    missing = Settings(
        environment="production", data_dir=tmp_path, keyring_file=tmp_path / "ring.json"
    )
    with pytest.raises(KeyRingError, match="cannot read"):
        open_keyring(missing)
    assert not list(tmp_path.iterdir())  # production makes no keys by itself


def test_development_makes_its_ring_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = open_keyring(settings).keys
    assert open_keyring(settings).keys == first
    assert stat.S_IMODE((tmp_path / "keyring.json").stat().st_mode) == 0o600


@pytest.mark.anyio
async def test_a_ring_that_does_not_fit_the_database_is_refused(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await check_keyring(connection, RING)
    await check_keyring(connection, KeyRing(RING.keys.rotated()))
    with pytest.raises(KeyRingError, match="does not fit this database"):
        await check_keyring(connection, KeyRing(Keys.generate()))
