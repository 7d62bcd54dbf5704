"""Discord's error codes, as far as a webhook meets them."""

from tidings.providers.chatting import GONE
from tidings.providers.refusals import (
    ADDRESS,
    CONTENT,
    REJECTED,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

TABLE = Table(
    "https://discord.com/developers/docs/topics/opcodes-and-status-codes#json",
    (
        rule(GONE, "the webhook was removed", codes="10015"),
        rule(GONE, "its token is not valid any more", codes="50027"),
        rule(ADDRESS, "there is no such channel or thread", codes="10003 10008"),
        rule(REJECTED, "the thread is archived or locked", codes="50083 160005"),
        rule(REJECTED, "a forum takes messages in its threads alone", codes="40058 220001 220003"),
        rule(CONTENT, "an empty message", codes="50006"),
        rule(CONTENT, "a filter of the server's refuses it", codes="20009 200000 200001 240000"),
        rule(CONTENT, "a form of the message that it does not take", codes="50035 50109"),
        rule(TOO_LARGE, "the request is too large", codes="40005"),
        rule(THROTTLED, "too many requests", codes="20016 20028 20029 31001 31002 40062"),
        rule(UNAVAILABLE, "Discord is overloaded", codes="130000"),
        rule(GONE, "there is no such webhook", statuses=(404, 410)),
    ),
)
