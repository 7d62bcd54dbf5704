"""Leave out repeats, and withdraw what a newer notification replaces; in the transaction that stores."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.reasons import Reason
from tidings.intake.drafting import Draft
from tidings.store import batch_sweeps, once
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing


def concerns(draft: Draft) -> bool:
    """Whether it has a collapse key, or its template a deduplication window."""
    return draft.row.collapse_key is not None or draft.deduplicate is not None


async def deduplicate(
    connection: Connection, drafts: Sequence[Draft], keyring: KeyRing
) -> list[Draft]:
    """The first of a template and recipient opens a window; the others inside it are not sent."""
    hashes = [
        _hash(keyring, one, one.row.template_id) if one.deduplicate else None for one in drafts
    ]
    windows = {
        digest: one.deduplicate
        for one, digest in zip(drafts, hashes, strict=True)
        if digest and one.deduplicate
    }
    if not windows:
        return list(drafts)
    opened = await once.take_windows(connection, windows)
    settled = []
    for one, digest in zip(drafts, hashes, strict=True):
        if digest is None or digest in opened:
            settled.append(one)
            opened.discard(digest or b"")
        else:
            settled.append(_ended(one, DeliveryStatus.SKIPPED, Reason.DUPLICATE))
    return settled


async def collapse(
    connection: Connection, drafts: Sequence[Draft], keyring: KeyRing
) -> list[Draft]:
    """The last of a collapse key and recipient is sent; what waits of those before it is not."""
    newest = _newest(drafts, _places(drafts, keyring))
    if not newest:
        return list(drafts)
    if replaced := await once.take_places(connection, newest):
        await batch_sweeps.withdraw(connection, replaced, Reason.COLLAPSED)
    return superseded(drafts, keyring)


def superseded(drafts: Sequence[Draft], keyring: KeyRing) -> list[Draft]:
    """Of those that replace each other, only the last is left to be sent."""
    hashes = _places(drafts, keyring)
    newest = _newest(drafts, hashes)
    return [
        one
        if digest is None or newest[digest] == one.row.id
        else _ended(one, DeliveryStatus.CANCELLED, Reason.COLLAPSED)
        for one, digest in zip(drafts, hashes, strict=True)
    ]


def _places(drafts: Sequence[Draft], keyring: KeyRing) -> list[bytes | None]:
    """What each takes the place of others in; None where it does not."""
    return [
        _hash(keyring, one, str(one.row.api_key_id), one.row.collapse_key)
        if one.row.collapse_key is not None and any(each.queued for each in one.deliveries)
        else None
        for one in drafts
    ]


def _newest(drafts: Sequence[Draft], places: Sequence[bytes | None]) -> dict[bytes, UUID]:
    return {place: one.row.id for one, place in zip(drafts, places, strict=True) if place}


def _ended(draft: Draft, status: DeliveryStatus, reason: Reason) -> Draft:
    """With none of its deliveries begun."""
    return replace(
        draft,
        deliveries=[
            replace(one, status=status, reason=reason, queued=False)
            if one.status is DeliveryStatus.PENDING
            else one
            for one in draft.deliveries
        ],
    )


def _hash(keyring: KeyRing, draft: Draft, *of: str) -> bytes:
    """Of these and the recipient: the user, or else the addresses."""
    digest = hashlib.blake2b(digest_size=16)
    for part in of:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    if draft.row.user_id is not None:
        digest.update(b"user" + draft.row.user_id.encode())
        return digest.digest()
    for one in sorted(
        keyring.address_hash(one.channel, one.address) for one in draft.deliveries if one.address
    ):
        digest.update(one)
    return digest.digest()
