"""What a Firebase Cloud Messaging account is."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest
from tidings.domain.push import FCM
from tidings.providers.notices import FIELDS
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="fcm",
    title="Firebase Cloud Messaging",
    channels=(Channel.PUSH,),
    docs_url="https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send",
    services=(FCM,),
    fields=(
        Field(
            "service_account",
            "The service account's key: the whole JSON of the file that the Firebase console gives "
            "(project settings, service accounts).",
            required=True,
            secret=True,
        ),
        *FIELDS,
        endpoint_field("https://fcm.googleapis.com"),
        CA_FILE,
        Field(
            "token_endpoint",
            "Where the service account signs in, if not at what its JSON names (`token_uri`).",
            kind="url",
        ),
    ),
)
