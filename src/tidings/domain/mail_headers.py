"""Header fields that an application may give an email."""

import re

_NAME = re.compile(r"[!-9;-~]{1,40}")

# What a message has anyway, and what only those who carry it may write.
_NOT_THEIRS = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "return-path",
        "received",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "dkim-signature",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
        "authentication-results",
        "auto-submitted",
    }
)


def check_header_name(name: str) -> str:
    """The name. Raises ValueError for one that nobody may use but those who send and carry the message."""
    if not _NAME.fullmatch(name):
        raise ValueError("a header's name is 1 to 40 printable ASCII characters, no colon")
    if name.lower() in _NOT_THEIRS:
        raise ValueError("a header that every message has anyway cannot be set")
    return name
