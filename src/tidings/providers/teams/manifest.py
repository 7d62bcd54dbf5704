"""What a Teams account is."""

from tidings.domain.channels import Channel
from tidings.domain.chat import TEAMS
from tidings.domain.provider import Field, Manifest
from tidings.providers.vendor import CA_FILE

MANIFEST = Manifest(
    name="teams",
    title="Microsoft Teams",
    channels=(Channel.CHAT,),
    docs_url="https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
    address_field="url",
    services=(TEAMS,),
    fields=(
        Field(
            "url",
            "Webhook of a workflow (or connector) in Teams, for recipients without one of their own.",
            kind="url",
            secret=True,
        ),
        Field(
            "endpoint",
            "Where calls go instead of the host of the webhook: a stand-in for tests. https; http only to this "
            "machine.",
            kind="url",
        ),
        CA_FILE,
    ),
)
