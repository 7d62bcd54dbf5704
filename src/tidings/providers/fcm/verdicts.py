"""The errors of Firebase Cloud Messaging: FcmError's codes, else the status that Google's APIs share."""

from tidings.providers.notices import GONE
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    CREDENTIALS,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

APPLE_OR_BROWSER = "THIRD_PARTY_AUTH_ERROR"

TABLE = Table(
    "https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode",
    (
        rule(GONE, "the app was removed, or has another token", codes="UNREGISTERED"),
        rule(ADDRESS, "the token belongs to another project", codes="SENDER_ID_MISMATCH"),
        rule(THROTTLED, "the quota is used up", codes="QUOTA_EXCEEDED RESOURCE_EXHAUSTED"),
        rule(
            ACCOUNT,
            "the project's key for Apple or for Web Push is missing or not valid",
            codes=APPLE_OR_BROWSER,
        ),
        rule(CREDENTIALS, "the access token is not taken", codes="UNAUTHENTICATED"),
        rule(
            ACCOUNT, "the service account may not send for the project", codes="PERMISSION_DENIED"
        ),
        # A project that is not there looks the same, and would else retire every device.
        rule(ACCOUNT, "there is no such project", codes="NOT_FOUND"),
        rule(UNAVAILABLE, "an error of the vendor's", codes="UNAVAILABLE INTERNAL"),
        rule(
            ADDRESS,
            "the token is not one of Firebase",
            codes="INVALID_ARGUMENT",
            text=r"registration token",
        ),
        rule(
            TOO_LARGE,
            "the message is larger than 4,096 bytes",
            codes="INVALID_ARGUMENT",
            text=r"too big|too large|size limit",
        ),
        rule(CONTENT, "it is not taken as a message", codes="INVALID_ARGUMENT"),
    ),
)

SIGNING_IN = Table(
    "https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth-errors",
    (
        rule(
            CREDENTIALS,
            "the service account is not taken",
            codes="invalid_grant invalid_client unauthorized_client access_denied invalid_scope",
        ),
    ),
)
"""Of the token endpoint."""
