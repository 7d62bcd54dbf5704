"""What a Vonage account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.texting import FROM, MAX_PARTS
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="vonage",
    title="Vonage SMS",
    channels=(Channel.SMS,),
    docs_url="https://developer.vonage.com/en/api/sms",
    features=("sender by country",),
    fields=(
        Field("api_key", "API key.", required=True),
        Field("api_secret", "API secret.", required=True, secret=True),
        FROM,
        Field(
            "callback",
            "URL that Vonage calls with delivery receipts; by default the account's own.",
            kind="url",
        ),
        Field(
            "signature_secrets",
            "Signature secret that callbacks are signed with; several, while one takes the place of another.",
            kind="list",
            secret=True,
        ),
        Field(
            "signature_method",
            "How callbacks without a JWT are signed, as chosen in Vonage's settings; md5hash is Vonage's default "
            "and the weakest.",
            kind="choice",
            default="sha256",
            choices=("md5hash", "md5", "sha1", "sha256", "sha512"),
        ),
        MAX_PARTS,
        endpoint_field("https://rest.nexmo.com"),
        CA_FILE,
    ),
)
