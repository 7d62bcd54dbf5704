"""What is told later, together: put into the open digest of its template, key and user, in the transaction that
stores it."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.reasons import Reason
from tidings.intake.drafting import Draft
from tidings.store import digests
from tidings.store.database import Connection
from tidings.store.digests import Opening
from tidings.store.keyring import KeyRing

# What belongs to one notification alone, and not to the digest.
_ITS_OWN = {"data", "idempotency_key", "expires_at", "send_at", "send_at_local", "digest_key"}


def concerns(draft: Draft) -> bool:
    """Whether it is to be told later, and has anything to tell."""
    return draft.closes_at is not None and any(one.queued for one in draft.deliveries)


async def gather(connection: Connection, drafts: Sequence[Draft], keyring: KeyRing) -> list[Draft]:
    """The drafts as they are to be stored: with nothing to send of those that went into a digest."""
    hashes = [_hash(one) if concerns(one) else None for one in drafts]
    openings: dict[bytes, Opening] = {}
    for one, digest in zip(drafts, hashes, strict=True):
        if digest is not None:
            openings[digest] = _opening(one, digest, openings.get(digest))
    if not openings:
        return list(drafts)
    opened = await digests.gather(connection, list(openings.values()), keyring)
    members: list[tuple[UUID, UUID]] = [
        (opened[digest], one.row.id)
        for one, digest in zip(drafts, hashes, strict=True)
        if digest is not None
    ]
    await digests.join(connection, members)
    return [
        one if digest is None else _gathered(one)
        for one, digest in zip(drafts, hashes, strict=True)
    ]


def _opening(draft: Draft, digest: bytes, before: Opening | None) -> Opening:
    """Of several in one batch, the last says how; the first, when."""
    row, request = draft.row, draft.submission.request
    assert draft.closes_at is not None
    assert row.user_id is not None
    return Opening(
        hash=digest,
        user_id=row.user_id,
        key=request.digest_key,
        count=1 + (before.count if before else 0),
        closes_at=before.closes_at if before else draft.closes_at,
        api_key_id=row.api_key_id,
        template_id=row.template_id,
        template_version=row.template_version,
        request=request.model_dump(mode="json", exclude_unset=True, exclude=_ITS_OWN),
    )


def _gathered(draft: Draft) -> Draft:
    return replace(
        draft,
        deliveries=[
            replace(one, status=DeliveryStatus.SKIPPED, reason=Reason.DIGESTED, queued=False)
            if one.status is DeliveryStatus.PENDING
            else one
            for one in draft.deliveries
        ],
    )


def _hash(draft: Draft) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in (
        draft.row.template_id,
        draft.submission.request.digest_key or "",
        draft.row.user_id or "",
    ):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
