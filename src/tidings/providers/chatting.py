"""A chat message as the services want it: its text, and the path of the webhook that its address is."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tidings.domain.chat import service_of
from tidings.domain.messages import ChatContent, Message
from tidings.domain.outcomes import Permanent
from tidings.domain.reasons import Reason

GONE = Permanent(Reason.ENDPOINT_GONE, suppress=True)
"""What the address named is no more: nothing is sent there again."""

Locate = Callable[[str], str | None]
"""The target within an address; None where it is none of the service's."""


@dataclass(frozen=True, slots=True)
class Chat:
    """target: what of the address goes into the request."""

    target: str = field(repr=False)
    body: str = field(repr=False)


def read_chat(message: Message, locate: Locate, longest: int) -> Chat | Permanent:
    """longest: characters that the service takes."""
    if not isinstance(message.content, ChatContent):
        return Permanent(Reason.CONTENT_REJECTED, detail="not a chat message")
    body = message.content.body
    if not body.strip() or not _encodable(body):
        return Permanent(Reason.CONTENT_REJECTED, detail="no text that can be sent")
    if len(body) > longest:
        return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {longest} characters")
    target = locate(message.address)
    if target is None:
        return Permanent(Reason.ADDRESS_INVALID, detail="not an address of this service")
    return Chat(target, body)


def webhook_of(service: str, path: str) -> Locate:
    """The path with the query of a webhook's URL. path: a regular expression for both, so that an address leads to
    nothing else of the service's API."""
    allowed = re.compile(path)

    def locate(address: str) -> str | None:
        if service_of(address) != service:
            return None
        url = urlsplit(address)
        target = f"{url.path}?{url.query}" if url.query else url.path
        return target if allowed.fullmatch(target) else None

    return locate


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
