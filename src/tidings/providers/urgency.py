"""What a push service is told of a message that it cannot read.

https://www.rfc-editor.org/rfc/rfc8030#section-5
"""

import re

from tidings.domain.priorities import Priority
from tidings.domain.provider import Account
from tidings.providers.notices import Notice, collapse_id, is_high

_LONGEST_TOPIC = 32
_TOPIC = re.compile(r"[A-Za-z0-9_-]+")


def urgency(account: Account, notice: Notice) -> str:
    """high, normal or low."""
    if is_high(account, notice):
        return "high"
    low = notice.priority is Priority.LOW and "priority" not in notice.options
    return "low" if low else "normal"


def topic(notice: Notice) -> str | None:
    """RFC 8030, 5.4: up to 32 characters of base64url."""
    return collapse_id(notice, _LONGEST_TOPIC, _TOPIC)
