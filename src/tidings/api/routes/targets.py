"""The batch that a bulk request names."""

from uuid import UUID

from fastapi import Request

from tidings.api.parts import Parts
from tidings.api.problems import Code, FieldError, Problem
from tidings.store import batches
from tidings.store.api_keys import ApiKey, Role
from tidings.store.batches import BatchRow


async def named_batch(request: Request, parts: Parts, key: ApiKey) -> BatchRow | None:
    """The batch of `?batch_id=`. Raises Problem where there is none such, or it is another key's."""
    given = request.query_params.get("batch_id")
    if given is None:
        return None
    try:
        batch_id = UUID(given)
    except ValueError:
        message = "must be a UUID"
        raise Problem(
            Code.INVALID_REQUEST,
            f"batch_id: {message}",
            [FieldError(path="batch_id", message=message)],
        ) from None
    return await owned_batch(parts, key, batch_id)


async def owned_batch(parts: Parts, key: ApiKey, batch_id: UUID) -> BatchRow:
    """Raises Problem where there is none such, or it is another key's."""
    row = await batches.find(parts.pool, batch_id)
    if row is None:
        raise Problem(Code.NOT_FOUND, "There is no batch with this id.")
    if key.role is not Role.ADMIN and row.api_key_id != key.id:
        raise Problem(Code.FORBIDDEN, "The batch belongs to another API key.")
    return row
