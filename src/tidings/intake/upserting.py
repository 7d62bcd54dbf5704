"""Users that come with a send: stored, or changed where it says something new, in the same transaction."""

from collections.abc import Sequence

import structlog

from tidings.intake.drafting import Draft
from tidings.intake.request import Recipient
from tidings.store import user_changes
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing, KeyRingError
from tidings.store.user_changes import Change

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FIELDS = ("email", "phone", "locale", "timezone")


def concerns(draft: Draft) -> bool:
    return draft.submission.request.recipient.upsert


async def upsert(connection: Connection, drafts: Sequence[Draft], keyring: KeyRing) -> None:
    """Within a transaction. Who is as the requests say is only read. A user who cannot be opened with this key ring
    stays as they are: the notification goes out all the same."""
    changes = [_change(one.submission.request.recipient) for one in drafts if concerns(one)]
    try:
        if fresh := await user_changes.differing(connection, changes, keyring):
            await user_changes.merge(connection, fresh, keyring)
    except KeyRingError:
        if len(drafts) == 1:
            log.error("user.unreadable")  # noqa: TRY400 - the traceback would add nothing
            return
        for one in drafts:
            await upsert(connection, [one], keyring)


def _change(recipient: Recipient) -> Change:
    assert recipient.user_id is not None
    given = {name: value for name in _FIELDS if (value := getattr(recipient, name)) is not None}
    return Change(recipient.user_id, given)
