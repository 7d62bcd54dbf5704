"""The reasons that Apple's push service gives."""

from tidings.domain.outcomes import Permanent
from tidings.domain.reasons import Reason
from tidings.providers.notices import GONE
from tidings.providers.refusals import (
    ACCOUNT,
    CONTENT,
    CREDENTIALS,
    REJECTED,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

EXPIRED = "ExpiredProviderToken"

_NO_DEVICE = Permanent(Reason.ADDRESS_INVALID, suppress=True)

TABLE = Table(
    "https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns",
    (
        rule(GONE, "the app was removed, or has another token", codes="Unregistered ExpiredToken"),
        rule(_NO_DEVICE, "not a token of this environment", codes="BadDeviceToken"),
        rule(_NO_DEVICE, "the token belongs to another app", codes="DeviceTokenNotForTopic"),
        rule(
            CREDENTIALS,
            "the provider token is not taken",
            codes=f"{EXPIRED} InvalidProviderToken MissingProviderToken UnrelatedKeyIdInToken "
            "BadEnvironmentKeyIdInToken BadCertificate BadCertificateEnvironment Forbidden",
        ),
        rule(
            ACCOUNT,
            "the topic is not the team's",
            codes="TopicDisallowed BadTopic MissingTopic",
        ),
        rule(THROTTLED, "too many messages to one device", codes="TooManyRequests"),
        rule(THROTTLED, "too many new provider tokens", codes="TooManyProviderTokenUpdates"),
        rule(TOO_LARGE, "the message is larger than 4,096 bytes", codes="PayloadTooLarge"),
        rule(CONTENT, "there is nothing in it", codes="PayloadEmpty"),
        rule(UNAVAILABLE, "the connection was idle for too long", codes="IdleTimeout"),
        rule(
            UNAVAILABLE,
            "an error of the vendor's",
            codes="InternalServerError ServiceUnavailable Shutdown",
        ),
        rule(
            REJECTED,
            "a header is not taken",
            codes="BadCollapseId BadExpirationDate BadMessageId BadPriority DuplicateHeaders "
            "InvalidPushType MissingDeviceToken",
        ),
    ),
)
