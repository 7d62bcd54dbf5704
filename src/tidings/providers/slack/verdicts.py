"""The errors of Slack's incoming webhooks."""

from tidings.providers.chatting import GONE
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    REJECTED,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

NO_TEXT = ("no_text", "invalid_payload")

TABLE = Table(
    "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors",
    (
        rule(GONE, "the webhook was removed", codes="no_service no_service_id no_active_hooks"),
        rule(GONE, "the workspace or the channel is no more", codes="no_team channel_not_found"),
        rule(ADDRESS, "the webhook's address is wrong", codes="invalid_token user_not_found"),
        rule(ACCOUNT, "the workspace is disabled", codes="team_disabled"),
        rule(
            ACCOUNT,
            "the workspace does not allow it",
            codes="action_prohibited posting_to_general_channel_denied",
        ),
        rule(REJECTED, "the channel is archived", codes="channel_is_archived"),
        rule(CONTENT, "it is not taken as a message", codes="invalid_payload no_text"),
        rule(TOO_LARGE, "the message is too long", codes="msg_too_long too_many_attachments"),
        rule(THROTTLED, "more than one message a second", codes="rate_limited"),
        rule(UNAVAILABLE, "Slack could not post it", codes="rollup_error"),
        rule(GONE, "there is no such webhook", statuses=(404, 410)),
    ),
)
