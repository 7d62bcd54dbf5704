"""What a Postmark account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.letters import FROM
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="postmark",
    title="Postmark",
    channels=(Channel.EMAIL,),
    docs_url="https://postmarkapp.com/developer/api/email-api",
    # The vendor takes 500; a call that is lost leaves no more than this in doubt.
    batch_size=100,
    features=("attachments", "inline files", "cc and bcc", "headers", "tags", "metadata"),
    fields=(
        Field("server_token", "Server API token.", required=True, secret=True),
        FROM,
        Field(
            "message_stream",
            "Message stream to send through; by default the server's transactional one.",
            default="outbound",
        ),
        Field(
            "webhook_tokens",
            "What callbacks prove themselves with: the password of Basic authentication, whoever the user is, or "
            "the value of the header X-Tidings-Token; several, while one takes the place of another.",
            kind="list",
            secret=True,
        ),
        endpoint_field("https://api.postmarkapp.com"),
        CA_FILE,
    ),
)
