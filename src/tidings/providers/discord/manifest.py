"""What a Discord account is."""

from tidings.domain.channels import Channel
from tidings.domain.chat import DISCORD
from tidings.domain.provider import Field, Manifest
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="discord",
    title="Discord",
    channels=(Channel.CHAT,),
    docs_url="https://discord.com/developers/docs/resources/webhook#execute-webhook",
    address_field="url",
    services=(DISCORD,),
    fields=(
        Field(
            "url",
            "Webhook, https://discord.com/api/webhooks/…, for recipients without one of their own. With "
            "?thread_id=… it posts in a thread.",
            kind="url",
            secret=True,
        ),
        endpoint_field("https://discord.com"),
        CA_FILE,
    ),
)
