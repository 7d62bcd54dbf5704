"""What an outbox account is."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Manifest

MANIFEST = Manifest(
    name="outbox",
    title="Outbox",
    channels=tuple(Channel),
    batch_size=500,
    idempotent=True,
    confirms_delivery=True,
    shared_fate=False,
    features=("attachments", "inline files", "cc and bcc", "headers", "tags"),
)
