"""Twilio's error codes, of a request and of a message that failed at once."""

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
    "https://www.twilio.com/docs/api/errors",
    code_url="https://www.twilio.com/docs/api/errors/{code}",
    rules=(
        rule(CREDENTIALS, "authentication failed", codes="20003 20006 20008"),
        rule(ACCOUNT, "the account is not active", codes="10001 20005 30002"),
        rule(ACCOUNT, "no such account or resource", codes="20404"),
        rule(THROTTLED, "too many requests", codes="20429 14107"),
        rule(THROTTLED, "the sender's queue is full", codes="21611 30001 30022 30023"),
        rule(
            UNAVAILABLE, "an error of the vendor's, or maintenance", codes="20500 20503 21730 30008"
        ),
        rule(REJECTED, "the handset is switched off, or out of reach", codes="30003"),
        rule(
            ADDRESS,
            "the recipient's number is not valid, or takes no text messages",
            codes="21211 21214 21217 21265 21266 21268 21604 21614 21635 30005 30006",
        ),
        rule(SUPPRESSED, "the recipient replied STOP", codes="21610"),
        rule(ACCOUNT, "the country is not enabled", codes="21408"),
        rule(
            ACCOUNT,
            "the sender is not valid, not the account's, or not fit for the recipient",
            codes="21212 21267 21603 21606 21607 21612 21659 21660 21661",
        ),
        rule(ACCOUNT, "a trial account sends to verified numbers only", codes="21608"),
        rule(
            ACCOUNT,
            "the messaging service is not there or has no sender",
            codes="21701 21703 21704 21705 21712",
        ),
        rule(ACCOUNT, "the sender is not registered with the carriers", codes="30034 30035"),
        rule(ACCOUNT, "the day's limit is reached", codes="63038"),
        rule(CONTENT, "the text is missing", codes="21602 21619"),
        rule(TOO_LARGE, "the text exceeds 1,600 characters", codes="21617 21605"),
        rule(CONTENT, "the carrier takes it for spam", codes="30007"),
        rule(REJECTED, "the recipient or the carrier blocks it", codes="30004"),
        rule(ACCOUNT, "the status callback is not a URL", codes="21609"),
    ),
)
