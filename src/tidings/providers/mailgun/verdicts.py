"""Mailgun's errors: they have no codes, only a status and a text."""

from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CREDENTIALS,
    REJECTED,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

TABLE = Table(
    "https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses",
    (
        rule(
            ADDRESS,
            "the recipient's address is not valid",
            statuses=(400,),
            text=r"'?to'? parameter is not a valid address",
        ),
        rule(TOO_LARGE, "the message is too large", statuses=(400,), text="too (?:large|big|long)"),
        rule(ACCOUNT, "the sender is not valid", statuses=(400,), text=r"'?from'? parameter"),
        rule(
            ACCOUNT,
            "the domain or the plan does not allow it",
            statuses=(400, 401, 403),
            text="not allowed to send|free account|authorized recipient|disabled|verify|upgrade",
        ),
        rule(CREDENTIALS, "the API key is not accepted", statuses=(401, 403)),
        rule(ACCOUNT, "the request failed, though its parameters are valid", statuses=(402,)),
        rule(ACCOUNT, "the domain is not known", statuses=(404,)),
        rule(TOO_LARGE, "the message exceeds 25 MB", statuses=(413,)),
        rule(THROTTLED, "too many requests", statuses=(420, 429)),
        rule(REJECTED, "a parameter is missing or not valid", statuses=(400,)),
        rule(UNAVAILABLE, "an error of the vendor's", statuses=(500, 503)),
    ),
)
