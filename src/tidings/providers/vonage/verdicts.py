"""Vonage's status of each part of a text, inside an answer of HTTP 200."""

from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
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
    "https://developer.vonage.com/en/api-errors/sms",
    (
        rule(THROTTLED, "faster than the account's limit", codes="1"),
        rule(REJECTED, "a parameter is missing or not valid", codes="2 3 22"),
        rule(ACCOUNT, "the callback is not a URL that Vonage can call", codes="23"),
        rule(CREDENTIALS, "key or secret is wrong", codes="4 14 32"),
        rule(UNAVAILABLE, "an error of the vendor's", codes="5"),
        rule(ADDRESS, "the number's prefix is not known", codes="6"),
        rule(SUPPRESSED, "the number is barred", codes="7"),
        rule(ACCOUNT, "the account is suspended or not enabled", codes="8 11"),
        rule(ACCOUNT, "not enough credit", codes="9"),
        rule(THROTTLED, "too many connections", codes="10"),
        rule(TOO_LARGE, "the text is too long", codes="12"),
        rule(ACCOUNT, "the sender is not allowed", codes="15"),
        rule(ACCOUNT, "a trial account sends to listed numbers only", codes="29"),
        rule(ADDRESS, "the number is out of service", codes="33 34"),
    ),
)
