"""What an Amazon SNS account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.aws_account import FIELDS
from tidings.providers.texting import FROM, MAX_PARTS

MANIFEST = Manifest(
    name="sns",
    title="Amazon SNS",
    channels=(Channel.SMS,),
    docs_url="https://docs.aws.amazon.com/sns/latest/api/API_Publish.html",
    features=("sender by country",),
    fields=(
        *FIELDS[:-2],
        FROM,
        Field(
            "sms_type",
            "Transactional: delivered first; Promotional: cheaper.",
            kind="choice",
            default="Transactional",
            choices=("Transactional", "Promotional"),
        ),
        Field(
            "max_price",
            "The most that one text may cost; a dearer one is not sent.",
            kind="number",
            minimum=0,
            unit="US dollars",
        ),
        Field("entity_id", "Entity ID, for texts to India."),
        Field("template_id", "Template ID, for texts to India."),
        MAX_PARTS,
        *FIELDS[-2:],
    ),
)
