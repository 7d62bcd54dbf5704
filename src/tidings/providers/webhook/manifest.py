"""What a webhook account is."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest

MANIFEST = Manifest(
    name="webhook",
    title="Webhook",
    channels=(Channel.WEBHOOK,),
    fields=(
        Field(
            "url",
            "Endpoint that is called when the recipient gives none.",
            kind="url",
        ),
        Field(
            "secret",
            "Signing secret: whsec_ and 24 to 64 random bytes in base64. Several while one replaces "
            "another: every call is signed with each.",
            kind="list",
            required=True,
            secret=True,
        ),
        Field(
            "headers",
            "Further headers of each call, as Name: value, for instance for a gateway before the receiver.",
            kind="list",
            secret=True,
        ),
        Field(
            "disable_after",
            "Time of nothing but failures after which an endpoint is put on the suppression list; 0 for never.",
            kind="number",
            default=120.0,
            minimum=0,
            maximum=8760,
            unit="h",
        ),
    ),
    docs_url="https://www.standardwebhooks.com",
    # Receivers are asked to drop a webhook-id that they know, but nothing makes them.
    idempotent=False,
    confirms_delivery=True,
    address_field="url",
    shared_fate=False,
)
