"""The files of accepted emails, stored in the transaction of their notifications."""

from collections.abc import Sequence

from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.intake.attaching import files_of
from tidings.intake.drafting import Draft
from tidings.store import attachments
from tidings.store.attachments import NewFile
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing


def concerns(draft: Draft) -> bool:
    return bool(files_of(draft.submission.request.email))


async def store(connection: Connection, drafts: Sequence[Draft], keyring: KeyRing) -> None:
    """Those that an email may still take along."""
    files = [
        NewFile(one.row.id, number, file.content)
        for one in drafts
        if _may_be_sent(one)
        for number, file in enumerate(files_of(one.submission.request.email))
    ]
    if files:
        await attachments.add(connection, files, keyring)


def _may_be_sent(draft: Draft) -> bool:
    return any(
        one.channel is Channel.EMAIL and one.status is DeliveryStatus.PENDING
        for one in draft.deliveries
    )
