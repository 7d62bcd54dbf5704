"""What an account with Apple's push service is."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.domain.push import APNS
from tidings.providers.notices import FIELDS
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="apns",
    title="Apple Push Notification service",
    channels=(Channel.PUSH,),
    docs_url="https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns",
    services=(APNS,),
    fields=(
        Field(
            "signing_key",
            "The key that signs provider tokens: the whole text of the .p8 file that Apple gives.",
            required=True,
            secret=True,
        ),
        Field("key_id", "The key's id, 10 characters.", required=True),
        Field("team_id", "The developer team's id, 10 characters.", required=True),
        Field("topic", "The app's bundle id, e.g. com.example.shop.", required=True),
        *FIELDS,
        endpoint_field("https://api.push.apple.com"),
        CA_FILE,
    ),
)
