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
    # Recipients of one SendBulkEmail.
    batch_size=50,
    features=("attachments", "inline files", "cc and bcc", "headers", "tags", "metadata"),
    fields=(
        *FIELDS[:-2],
        FROM,
        Field(
            "configuration_set",
            "Configuration set to send with; it says where SES reports to.",
        ),
        Field(
            "batch",
            "Whether emails of one moment share a call, with what differs as replacement data. It needs the permission "
            "ses:SendBulkEmail; without it, each goes by itself after all.",
            kind="yes_no",
            default=True,
        ),
        Field(
            "topics",
            "ARNs of the SNS topics that SES reports to; callbacks of others are refused, for anyone can have "
            "a topic.",
            kind="list",
        ),
        Field(
            "sns_endpoint",
            "Where certificates and confirmations of SNS are fetched instead of from Amazon: a stand-in for "
            "tests, on this machine only.",
            kind="url",
        ),
        *FIELDS[-2:],
    ),
)
