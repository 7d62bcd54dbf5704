"""What an in-app account is."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Manifest

MANIFEST = Manifest(
    name="inapp",
    title="In-app feed",
    channels=(Channel.IN_APP,),
    batch_size=500,
    idempotent=True,
    confirms_delivery=True,
    shared_fate=False,
)
