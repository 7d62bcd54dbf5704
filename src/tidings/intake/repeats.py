"""Idempotency keys: which requests are repeats, and of what."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from tidings.intake.drafting import Draft, Receipt, Result, Submission
from tidings.intake.refusals import Refusal, RefusalCode
from tidings.store.idempotency import KeyClaim


def claims_of(drafts: Sequence[Draft | Result]) -> list[KeyClaim]:
    """One claim per idempotency key: of several requests with the same one, the first is stored."""
    claims: dict[tuple[UUID, str], KeyClaim] = {}
    for one in drafts:
        if isinstance(one, Draft) and (key := one.submission.request.idempotency_key):
            claim = KeyClaim(one.row.api_key_id, key, one.submission.fingerprint, one.row.id)
            claims.setdefault((claim.api_key_id, key), claim)
    return list(claims.values())


def recalled(
    submission: Submission, refusal: Refusal, held: Mapping[tuple[UUID, str], KeyClaim]
) -> Result:
    holder = held.get((submission.api_key_id, submission.request.idempotency_key or ""))
    if holder is None or holder.fingerprint != submission.fingerprint:
        return refusal
    return Receipt(holder.notification_id, repeated=True)


def result_of(one: Draft, holders: Mapping[tuple[UUID, str], KeyClaim]) -> Result:
    key = one.submission.request.idempotency_key
    if key is None:
        return Receipt(one.row.id)
    holder = holders[one.row.api_key_id, key]
    if holder.notification_id == one.row.id:
        return Receipt(one.row.id)
    if holder.fingerprint == one.submission.fingerprint:
        return Receipt(holder.notification_id, repeated=True)
    return Refusal(
        RefusalCode.IDEMPOTENCY_CONFLICT,
        "This idempotency key was used before with another request.",
        "idempotency_key",
    )
