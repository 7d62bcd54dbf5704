"""What a SendGrid account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.letters import FROM
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="sendgrid",
    title="Twilio SendGrid",
    channels=(Channel.EMAIL,),
    docs_url="https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send",
    # The vendor takes 1,000; a call that is lost leaves no more than this in doubt.
    batch_size=100,
    features=("attachments", "inline files", "cc and bcc", "headers", "tags", "metadata"),
    fields=(
        Field("api_key", "API key with the permission Mail Send.", required=True, secret=True),
        FROM,
        Field(
            "batch",
            "Whether emails of one moment share a call: alike ones, and short ones whose bodies differ, by "
            "substitution.",
            kind="yes_no",
            default=True,
        ),
        Field(
            "sandbox",
            "The vendor's sandbox mode: it checks every email, and sends none.",
            kind="yes_no",
            default=False,
        ),
        Field(
            "webhook_keys",
            "Verification keys of the signed event webhook, and of a secured inbound parse; several, while one "
            "takes the place of another.",
            kind="list",
        ),
        endpoint_field("https://api.sendgrid.com"),
        CA_FILE,
    ),
)
