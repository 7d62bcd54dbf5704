"""What a Mailgun account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.letters import FROM
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="mailgun",
    title="Mailgun",
    channels=(Channel.EMAIL,),
    docs_url="https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages",
    # The vendor takes 1,000; a call that is lost leaves no more than this in doubt.
    batch_size=100,
    features=("attachments", "inline files", "cc and bcc", "headers", "tags", "metadata"),
    fields=(
        Field(
            "api_key",
            "Sending key of the domain, or the account's API key.",
            required=True,
            secret=True,
        ),
        Field("domain", "Sending domain, as Mailgun has it.", required=True),
        FROM,
        Field(
            "batch",
            "Whether emails of one moment share a call, with what differs as recipient variables.",
            kind="yes_no",
            default=True,
        ),
        Field(
            "test_mode",
            "The vendor's test mode: it takes every email, and sends none.",
            kind="yes_no",
            default=False,
        ),
        Field(
            "webhook_signing_keys",
            "The account's HTTP webhook signing key; several, while one takes the place of another.",
            kind="list",
            secret=True,
        ),
        endpoint_field("https://api.mailgun.net"),
        CA_FILE,
    ),
)
