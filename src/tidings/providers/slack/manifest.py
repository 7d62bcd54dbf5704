"""What a Slack account is."""

from tidings.domain.channels import Channel
from tidings.domain.chat import SLACK
from tidings.domain.provider import Field, Manifest
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="slack",
    title="Slack",
    channels=(Channel.CHAT,),
    docs_url="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    address_field="url",
    services=(SLACK,),
    fields=(
        Field(
            "url",
            "Incoming webhook, https://hooks.slack.com/services/…, for recipients without one of their own.",
            kind="url",
            secret=True,
        ),
        endpoint_field("https://hooks.slack.com"),
        CA_FILE,
    ),
)
