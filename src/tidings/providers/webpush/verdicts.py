"""What push services answer: by status, as RFC 8030 has it and as the browsers' makers document it."""

from tidings.providers.notices import GONE
from tidings.providers.refusals import CONTENT, CREDENTIALS, THROTTLED, TOO_LARGE, Table, rule

TABLE = Table(
    "https://www.rfc-editor.org/rfc/rfc8030#section-5",
    (
        rule(GONE, "the subscription is no more", statuses=(404, 410)),
        rule(CREDENTIALS, "the subscription belongs to another key", statuses=(401, 403)),
        rule(TOO_LARGE, "the message is larger than 4,096 bytes", statuses=(413,)),
        rule(THROTTLED, "too many messages", statuses=(406, 429)),  # 406: Windows
        rule(CONTENT, "the request is not taken", statuses=(400,)),
    ),
)
