"""What a Web Push account is."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.domain.push import WEBPUSH
from tidings.providers.notices import FIELDS

MANIFEST = Manifest(
    name="webpush",
    title="Web Push",
    channels=(Channel.PUSH,),
    docs_url="https://www.rfc-editor.org/rfc/rfc8030",
    services=(WEBPUSH,),
    shared_fate=False,
    fields=(
        Field(
            "private_key",
            "The application server's key (VAPID), on the curve P-256: PEM, or its 32 bytes in base64url. Subscriptions "
            "belong to it, so it stays the same for ever.",
            required=True,
            secret=True,
        ),
        Field(
            "subject",
            "Where the push services reach who runs this: mailto:… or https://…",
            required=True,
        ),
        *FIELDS,
    ),
)
