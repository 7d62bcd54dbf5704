"""Postmark's error codes, of a whole call (HTTP 422) and of each email in it (HTTP 200)."""

from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    CREDENTIALS,
    REJECTED,
    SUPPRESSED,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

TABLE = Table(
    "https://postmarkapp.com/developer/api/overview#error-codes",
    (
        rule(CREDENTIALS, "bad or missing API token", codes="10"),
        rule(UNAVAILABLE, "maintenance", codes="100"),
        rule(
            ADDRESS,
            "the recipient's address is not valid",
            codes="300",
            text=r"'to'|illegal email|invalid 'to'|error parsing 'to'",
        ),
        rule(TOO_LARGE, "the message is too large", codes="300", text="too large|exceeds|size"),
        rule(REJECTED, "invalid email request", codes="300"),
        rule(ACCOUNT, "the sender is not known or not confirmed", codes="400 401"),
        rule(REJECTED, "invalid JSON or fields", codes="402 403 409"),
        rule(ACCOUNT, "not allowed to send: out of credits", codes="405"),
        rule(SUPPRESSED, "inactive recipient: bounced, complained or unsubscribed", codes="406"),
        rule(REJECTED, "too many messages in one call", codes="410"),
        rule(CONTENT, "an attachment of a forbidden type", codes="411"),
        rule(ACCOUNT, "the account is pending, or may not send", codes="412 413"),
        rule(THROTTLED, "too many requests", codes="429"),
        rule(ACCOUNT, "the message stream is not there", codes="1235"),
        rule(TOO_LARGE, "the request exceeds 10 MB, or 50 MB of several emails", statuses=(413,)),
    ),
)
