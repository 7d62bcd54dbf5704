"""What an Amazon SES account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.aws_account import FIELDS
from tidings.providers.letters import FROM

MANIFEST = Manifest(
    name="ses",
    title="Amazon SES",
    channels=(Channel.EMAIL,),
    docs_url="https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html",
    features=("attachments", "inline files", "cc and bcc", "headers", "tags", "metadata"),
    fields=(
        *FIELDS[:-1],
        FROM,
        Field(
            "configuration_set",
            "Configuration set to send with; it says where SES reports to.",
        ),
        FIELDS[-1],
    ),
)
