"""What every process stands on: the database, the key ring, the accounts."""

import contextlib
import os
import resource
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tidings import logs
from tidings.bootstrap.places import development_key_file, keyring_file
from tidings.domain.provider import Account
from tidings.providers.accounts import build_accounts
from tidings.providers.catalogue import Catalogue, read_catalogue
from tidings.settings import Settings
from tidings.store import api_keys
from tidings.store.api_keys import Role
from tidings.store.database import Connection, open_pool
from tidings.store.keyring import KeyRing, KeyRingError, Keys, create_keys, read_keys

Checkpoint = Callable[[str], None]

_PROBE = b"tidings"
_PROBE_NAME = "keyring_probe"
_DEVELOPMENT_KEY_LOCK = 0x6B65_79


def pass_by(_name: str) -> None:
    """The checkpoint of production: nothing happens. Tests pass one that kills the process."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """dsn: of the database, schema up to date. accounts: valid, defaults included, each of a provider in the
    catalogue."""

    settings: Settings
    dsn: str
    keyring: KeyRing
    accounts: list[Account]
    catalogue: Catalogue


def raise_file_limit() -> None:
    """Every connection is an open file, and the usual soft limit of 1,024 is meant for programs that use
    select(); ours may use what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def lay(settings: Settings, dsn: str, process: str) -> Foundation:
    """Logs, keys and accounts. Raises SettingsError and KeyRingError."""
    raise_file_limit()
    logs.configure(format=settings.log.format, level=settings.log.level, process=process)
    catalogue = read_catalogue()
    accounts = build_accounts(settings, catalogue.manifests)
    return Foundation(settings, dsn, open_keyring(settings), accounts, catalogue)


def open_keyring(settings: Settings) -> KeyRing:
    """The configured key ring; in development it is made on the first start."""
    path = keyring_file(settings)
    if path is None:
        assert settings.keyring is not None
        return KeyRing(Keys.parse(settings.keyring.get_secret_value()))
    made_here = settings.development and settings.keyring_file is None
    keys = create_keys(path) if made_here and not path.exists() else read_keys(path)
    return KeyRing(keys, reload=lambda: read_keys(path))


async def check_keyring(connection: Connection, keyring: KeyRing) -> None:
    """Refuse to work with a key ring that does not fit the database, before anything is sealed with it."""
    await connection.execute(
        "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        _PROBE_NAME,
        keyring.seal(_PROBE, _PROBE_NAME.encode()),
    )
    sealed = await connection.fetchval(
        "SELECT value FROM installation WHERE name = $1", _PROBE_NAME
    )
    try:
        keyring.open(sealed, _PROBE_NAME.encode())
    except KeyRingError as error:
        raise KeyRingError(f"the key ring does not fit this database: {error}") from None


async def ensure_development_key(connection: Connection, settings: Settings) -> None:
    """In development, make an admin API key on the first start and keep it with the data, readable by
    its owner only; so that the command line and the README's curl just work."""
    if not settings.development:
        return
    path = development_key_file(settings)
    async with connection.transaction():
        # One process at a time: of several that start together, the first makes the key.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _DEVELOPMENT_KEY_LOCK)
        if path.exists():
            secret = path.read_text(encoding="utf-8").strip()
            if await api_keys.is_valid(connection, secret):
                return
            path.unlink()  # it belongs to a database that is gone
        secret = api_keys.new_secret()
        await api_keys.create(connection, "development", Role.ADMIN, secret)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")


@contextlib.asynccontextmanager
async def connection_to(dsn: str, name: str) -> AsyncIterator[Connection]:
    """A single connection, for commands."""
    pool = await open_pool(dsn, size=2, name=name)
    try:
        async with pool.acquire() as connection:
            yield connection
    finally:
        await pool.close()
