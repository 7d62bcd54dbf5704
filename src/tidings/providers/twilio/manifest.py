"""What a Twilio account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.texting import FROM, MAX_PARTS
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="twilio",
    title="Twilio",
    channels=(Channel.SMS,),
    docs_url="https://www.twilio.com/docs/messaging/api/message-resource",
    features=("sender by country",),
    fields=(
        Field("account_sid", "Account SID: AC and 32 digits.", required=True),
        Field(
            "auth_token",
            "Auth token; it signs in where no API key is given, and verifies callbacks.",
            secret=True,
        ),
        Field("api_key", "SID of an API key (SK and 32 digits), to sign in with instead."),
        Field("api_key_secret", "Secret of the API key.", secret=True),
        FROM,
        Field(
            "messaging_service_sid",
            "Messaging service (MG and 32 digits), which chooses the sender where `from` has none.",
        ),
        Field(
            "status_callback",
            "URL that Twilio calls with what became of a message; the delivery's id is added to it.",
            kind="url",
        ),
        Field(
            "webhook_tokens",
            "Further tokens that callbacks may be signed with, beside auth_token: the one before or after it, or "
            "the secret of a signing key.",
            kind="list",
            secret=True,
        ),
        MAX_PARTS,
        endpoint_field("https://api.twilio.com"),
        CA_FILE,
    ),
)
