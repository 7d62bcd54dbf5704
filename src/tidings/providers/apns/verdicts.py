"""The reasons that Apple's push service gives."""

from tidings.providers.notices import GONE
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
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

TABLE = Table(
    "https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns",
    (
        rule(GONE, "the app was removed, or has another token", codes="Unregistered ExpiredToken"),
        # An account with the endpoint or the topic of another app gets the same for each device that there is, and
        # would else retire all of them.
        rule(ADDRESS, "not a token, or one of the other environment", codes="BadDeviceToken"),
        rule(ADDRESS, "the token belongs to another app", codes="DeviceTokenNotForTopic"),
        rule(
            CREDENTIALS,
            "the provider token is not taken",
            codes=f"{EXPIRED} InvalidProviderToken MissingProviderToken UnrelatedKeyIdInToken "
            "BadEnvironmentKeyIdInToken BadEnvironmentKeyInToken BadCertificate BadCertificateEnvironment Forbidden",
        ),
        rule(
            ACCOUNT,
            "the topic is not the team's",
            codes="TopicDisallowed BadTopic MissingTopic",
        ),
        rule(ACCOUNT, "there is no such API at the endpoint", codes="BadPath MethodNotAllowed"),
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
