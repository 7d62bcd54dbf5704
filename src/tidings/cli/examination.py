"""What `tidings doctor` looks at: each check says what it found and, if need be, what to mend."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tidings.bootstrap.foundation import Foundation, open_keyring
from tidings.bootstrap.places import development_key_file, embedded_directory, keyring_file
from tidings.bootstrap.worker import open_accounts
from tidings.cli.client import api_url
from tidings.cli.connected import connected_pool
from tidings.cli.errors import CommandError
from tidings.cli.explained import explained
from tidings.domain.provider import Account, ProviderCheckError
from tidings.providers.accounts import build_accounts
from tidings.providers.catalogue import read_catalogue
from tidings.providers.http import Answer, Request
from tidings.providers.http_client import HttpClient
from tidings.settings import Settings, config_file
from tidings.store import migrate, rotation
from tidings.store.database import Connection, Pool
from tidings.store.keyring import KeyRing

OLDEST_POSTGRES = 15
_SKEW_WARN, _SKEW_FAIL = 2.0, 30.0  # seconds
_SPACE_WARN, _SPACE_FAIL = 2 * 2**30, 256 * 2**20  # bytes
_PATIENCE = 10.0  # seconds for one account or the API

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """mend: what to do; empty when all is well."""

    check: str
    state: State
    found: str
    mend: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Everything, one finding after the other; nothing is changed."""
    yield _settings(settings)
    for finding in (*_directory(settings), *_space(settings)):
        yield finding
    keyring, finding = _keyring(settings)
    yield finding
    accounts, finding = _accounts(settings)
    yield finding
    if settings.database_url is None and not embedded_directory(settings).exists():
        yield Finding(
            "database",
            "warn",
            "none yet",
            "`tidings serve` makes the embedded one at its first start",
        )
    else:
        async for finding in _database(settings, keyring, accounts):
            yield finding
    yield await _api(settings)


def _settings(settings: Settings) -> Finding:
    source = str(config_file()) if config_file().is_file() else "no file"
    variables = sum(name.startswith("TIDINGS_") for name in os.environ)
    return Finding("settings", "ok", f"{source}, {variables} variables, for {settings.environment}")


def _directory(settings: Settings) -> Iterator[Finding]:
    """The data directory, and who may read the secrets in it."""
    directory = settings.data_dir
    if not directory.exists():
        yield Finding("data directory", "ok", f"{directory}, made at the first start")
        return
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "data directory",
            "fail",
            f"{directory} is not ours to write",
            "change its owner, or choose another one with TIDINGS_DATA_DIR",
        )
        return
    secrets = [development_key_file(settings), settings.keyring_file or directory / "keyring.json"]
    exposed = [path for path in secrets if path.is_file() and path.stat().st_mode & 0o077]
    for path in exposed:
        yield Finding("data directory", "warn", f"others may read {path}", f"chmod 600 {path}")
    if not exposed:
        yield Finding("data directory", "ok", str(directory))


def _space(settings: Settings) -> Iterator[Finding]:
    """Free space matters where the database is on this machine."""
    if settings.database_url is not None:
        return
    existing = next(
        path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free
    found = f"{free / 2**30:.1f} GiB free for the embedded database"
    mend = "make room, or move TIDINGS_DATA_DIR: a database without space stops"
    if free < _SPACE_FAIL:
        yield Finding("disk", "fail", found, mend)
    elif free < _SPACE_WARN:
        yield Finding("disk", "warn", found, mend)
    else:
        yield Finding("disk", "ok", found)


def _keyring(settings: Settings) -> tuple[KeyRing | None, Finding]:
    try:
        with explained():
            path = keyring_file(settings)
            if path is not None and settings.development and not path.exists():
                return None, Finding("key ring", "ok", f"{path}, made at the first start")
            keyring = open_keyring(settings)
    except CommandError as error:
        return None, Finding("key ring", "fail", error.message, error.hint)
    count = len(keyring.keys.keys)
    found = f"{path or 'TIDINGS_KEYRING'}, {count} {'key' if count == 1 else 'keys'}"
    return keyring, Finding("key ring", "ok", f"{found}, {keyring.keys.active} is active")


def _accounts(settings: Settings) -> tuple[list[Account], Finding]:
    try:
        with explained():
            accounts = build_accounts(settings, read_catalogue().manifests)
    except CommandError as error:
        return [], Finding("accounts", "fail", error.message, error.hint)
    if not settings.development and not settings.accounts:
        mend = "declare [accounts.NAME] in the settings: nothing but the in-app feed is served"
        return accounts, Finding("accounts", "warn", "none configured", mend)
    return accounts, Finding("accounts", "ok", ", ".join(account.name for account in accounts))


async def _database(
    settings: Settings, keyring: KeyRing | None, accounts: list[Account]
) -> AsyncIterator[Finding]:
    """What needs the database, accounts included: some of them store into it."""
    findings: list[Finding] = []
    try:
        with explained():
            async with connected_pool(settings) as (pool, dsn):
                async with pool.acquire() as connection:
                    findings += [await _version(connection), await _clock(connection)]
                    findings += await _schema(connection, keyring)
                if keyring is not None:
                    foundation = Foundation(settings, dsn, keyring, accounts, read_catalogue())
                    findings += await _reach(foundation, pool)
    except CommandError as error:
        findings.append(Finding("database", "fail", error.message, error.hint))
    for finding in findings:
        yield finding


async def _version(connection: Connection) -> Finding:
    version = connection.get_server_version()
    found = f"PostgreSQL {version.major}.{version.minor}"
    if version.major < OLDEST_POSTGRES:
        return Finding("database", "fail", found, f"Tidings needs {OLDEST_POSTGRES} or later")
    return Finding("database", "ok", found)


async def _clock(connection: Connection) -> Finding:
    before = time.time()
    there = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    skew = there - (before + time.time()) / 2
    found = f"{abs(skew):.3f} s from the database's"
    mend = "keep both machines' clocks by NTP: due times and expiries depend on them"
    if abs(skew) > _SKEW_FAIL:
        return Finding("clock", "fail", found, mend)
    if abs(skew) > _SKEW_WARN:
        return Finding("clock", "warn", found, mend)
    return Finding("clock", "ok", found)


async def _schema(connection: Connection, keyring: KeyRing | None) -> list[Finding]:
    revision, newest = await migrate.revision(connection), migrate.newest()
    if revision != newest:
        found = f"revision {revision}, this version needs {newest}" if revision else "none"
        return [Finding("schema", "fail", found, "run `tidings migrate`, or start `tidings serve`")]
    findings = [Finding("schema", "ok", f"revision {revision}")]
    if keyring is not None:
        findings.append(await _fit(connection, keyring))
    return findings


async def _fit(connection: Connection, keyring: KeyRing) -> Finding:
    try:
        with explained():
            opened = await rotation.check(connection, keyring)
    except CommandError as error:
        return Finding("key ring fits", "fail", error.message, error.hint)
    return Finding(
        "key ring fits", "ok", "it opens what the database holds" if opened else "unused"
    )


async def _reach(foundation: Foundation, pool: Pool) -> list[Finding]:
    """Every account, all at the same time."""
    try:
        with explained():
            opened = open_accounts(foundation, pool)
    except CommandError as error:
        return [Finding("accounts", "fail", error.message, error.hint)]
    try:
        return await asyncio.gather(
            *(_check(one.account, one.provider.check) for one in opened.opened)
        )
    finally:
        await opened.close()


async def _check(account: Account, check: Callable[[], Awaitable[str]]) -> Finding:
    name = f"account {account.name}"
    try:
        async with asyncio.timeout(account.timeout + _PATIENCE):
            found = await check()
    except TimeoutError:
        return Finding(name, "fail", "no answer in time", f"look at accounts.{account.name}")
    except ProviderCheckError as error:
        return Finding(name, "fail", str(error), f"look at accounts.{account.name} in the settings")
    return Finding(name, "ok", found)


async def _api(settings: Settings) -> Finding:
    url = api_url(settings)
    client = HttpClient()
    try:
        answer = await client.send(Request("GET", f"{url}/health/ready", {}, b"", _PATIENCE))
    finally:
        await client.close()
    if not isinstance(answer, Answer):
        mend = "start `tidings serve`; TIDINGS_URL says where the command line looks for it"
        return Finding("API", "warn", f"nothing answers at {url}", mend)
    if answer.status != 200:
        return Finding("API", "fail", f"{url} answers HTTP {answer.status}", "its log says more")
    return Finding("API", "ok", f"{url} is ready")
