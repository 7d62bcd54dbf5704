"""Endpoints that fail: since when, and on the suppression list when they did nothing else for long."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidings.domain.channels import Channel
from tidings.domain.endpoints import LEAST_FAILURES
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing

_APART = 10.0  # seconds: of an endpoint that fails all the time, not each failure is written
_FORGET = "30 days"


@dataclass(frozen=True, slots=True)
class Failure:
    """patience: seconds of nothing but failures after which the endpoint is left alone."""

    channel: Channel
    address: str = field(repr=False)
    account: str
    reason: str
    patience: float


@dataclass(frozen=True, slots=True)
class Disabled:
    channel: Channel
    account: str
    reason: str
    since: datetime
    failures: int


async def note(
    connection: Connection,
    failures: Sequence[Failure],
    keyring: KeyRing,
    *,
    apart: float = _APART,
) -> None:
    """Count these; two of an endpoint that are less than so many seconds apart count once."""
    newest = {keyring.address_hash(one.channel, one.address): one for one in failures}
    # In one order, so that of two workers one waits for the other.
    ordered = sorted(newest.items())
    await connection.execute(
        """INSERT INTO failing_endpoints AS f (channel, address_hash, sealed_address, account, reason, failures, disable_at)
           SELECT w.channel, w.hash, w.sealed, w.account, w.reason, 1, now() + make_interval(secs => w.patience)
           FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::float8[])
             AS w (channel, hash, sealed, account, reason, patience)
           WHERE NOT EXISTS (SELECT FROM failing_endpoints k WHERE k.channel = w.channel AND k.address_hash = w.hash
             AND k.last_at > now() - make_interval(secs => $7::float8))
           ON CONFLICT (channel, address_hash) DO UPDATE SET failures = f.failures + 1, last_at = excluded.last_at,
             account = excluded.account, reason = excluded.reason""",
        [one.channel for _, one in ordered],
        [digest for digest, _ in ordered],
        [keyring.seal(one.address.encode(), digest) for digest, one in ordered],
        [one.account for _, one in ordered],
        [one.reason for _, one in ordered],
        [one.patience for _, one in ordered],
        apart,
    )


async def disable(connection: Connection) -> list[Disabled]:
    """Put those on the suppression list that did nothing but fail for as long as their account bears; the others
    begin anew with their next failure. In one statement."""
    rows = await connection.fetch(
        """WITH due AS (
             DELETE FROM failing_endpoints WHERE last_at >= disable_at AND failures >= $1 RETURNING *
           ), dead AS MATERIALIZED (
             SELECT * FROM due d WHERE NOT EXISTS (SELECT FROM deliveries e
               WHERE e.address_hash = d.address_hash AND e.channel = d.channel AND e.sent_at >= d.since)
           ), listed AS (
             INSERT INTO suppressions AS s (channel, address_hash, category, sealed_address, reason, detail)
             SELECT channel, address_hash, '', sealed_address, 'failing', reason FROM dead
             ON CONFLICT (channel, address_hash, category) DO UPDATE SET reason = excluded.reason,
               detail = excluded.detail, expires_at = NULL, created_at = now() WHERE s.expires_at <= now()
           )
           SELECT channel, account, reason, since, failures FROM dead""",
        LEAST_FAILURES,
    )
    await connection.execute(
        f"DELETE FROM failing_endpoints WHERE last_at < now() - interval '{_FORGET}'"
    )
    return [
        Disabled(
            Channel(row["channel"]), row["account"], row["reason"], row["since"], row["failures"]
        )
        for row in rows
    ]
