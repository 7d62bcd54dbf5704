"""What a Resend account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.providers.letters import FROM
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="resend",
    title="Resend",
    channels=(Channel.EMAIL,),
    docs_url="https://resend.com/docs/api-reference/emails/send-email",
    # Each email has its delivery id as Idempotency-Key, which the vendor keeps for 24 hours. The key of
    # its batch call is for the whole batch, which is never put together twice in the same way: hence
    # one email a call. That is not "idempotent" as a manifest means it: a try after a day would send again.
    idempotent=False,
    features=("attachments", "inline files", "cc and bcc", "headers", "tags", "metadata"),
    fields=(
        Field("api_key", "API key; one that may only send is enough.", required=True, secret=True),
        FROM,
        Field(
            "webhook_secrets",
            "Signing secrets of webhooks (whsec_…); several, while one takes the place of another.",
            kind="list",
            secret=True,
        ),
        endpoint_field("https://api.resend.com"),
        CA_FILE,
    ),
)
