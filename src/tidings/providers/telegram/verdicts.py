"""What Telegram says of a message that it does not take: in words, as its codes are those of HTTP."""

from tidings.providers.chatting import GONE
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    CREDENTIALS,
    SUPPRESSED,
    THROTTLED,
    TOO_LARGE,
    Table,
    rule,
)

TABLE = Table(
    "https://core.telegram.org/bots/api#making-requests",
    (
        rule(SUPPRESSED, "the person has blocked the bot", text="bot was blocked by the user"),
        rule(GONE, "the account of the person is no more", text="user is deactivated"),
        rule(
            GONE,
            "the bot is not in the chat any more",
            text="bot was kicked|bot is not a member|chat was deleted|group chat was upgraded|group is deactivated",
        ),
        rule(
            ADDRESS,
            "there is no such chat",
            text="chat not found|user not found|PEER_ID_INVALID|thread not found",
        ),
        rule(ADDRESS, "the person never wrote to the bot", text="can't initiate conversation"),
        rule(TOO_LARGE, "the text is too long", text="message is too long"),
        rule(
            CONTENT,
            "a text that it does not take",
            text="text is empty|text must be|must be non-empty|can't parse entities",
        ),
        rule(
            ACCOUNT,
            "the bot may not write there",
            text="not enough rights|have no rights|CHAT_WRITE_FORBIDDEN",
        ),
        rule(CREDENTIALS, "there is no bot with this token", statuses=(401, 404)),
        rule(THROTTLED, "too many messages", statuses=(429,)),
    ),
)
