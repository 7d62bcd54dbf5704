"""Marking messages: their links lead through us, and an email has a pixel, where opens or clicks are tracked."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from uuid import UUID

from tidings.domain.messages import (
    Content,
    EmailContent,
    InAppContent,
    Message,
    PushContent,
    SmsContent,
)
from tidings.domain.tracking import MOST_LINKS, PIXEL, UNTRACKED, Tracking, TrackingChoice
from tidings.rendering.links import exchange_in_html, exchange_in_text, is_trackable
from tidings.store.deliveries import Work
from tidings.store.tracking_tokens import NewToken

Targets = Sequence[str]
"""Where the links of a message lead, in the order of their numbers."""


class Marker:
    """public_url: where people reach the API; without it nothing is tracked. default: for templates that do not say.
    new_token: makes what stands in a URL."""

    def __init__(self, public_url: str | None, default: Tracking, new_token: NewToken) -> None:
        self._public_url = public_url
        self._default = default
        self._new_token = new_token

    def of(self, choice: TrackingChoice, work: Work) -> Tracking:
        """What of this message is tracked; nothing for a person who does not want it."""
        if self._public_url is None or work.preferences.tracking is False:
            return UNTRACKED
        return choice.over(self._default)

    def mark(self, message: Message, tracking: Tracking) -> tuple[Message, Targets]:
        """With what is tracked put in; and where its links lead, which is to be stored before it is sent."""
        if self._public_url is None or not tracking.any:
            return message, ()
        links = _Links(self._public_url, message.delivery_id, self._new_token)
        content = message.content
        if tracking.clicks:
            content = _exchanged(content, links)
        if tracking.opens and isinstance(content, EmailContent) and content.html is not None:
            content = replace(content, html=_with_pixel(content.html, links.pixel))
        if content is message.content:
            return message, ()
        return replace(message, content=content), links.targets


class _Links:
    """The same URL has the same number wherever it stands in a message."""

    def __init__(self, public_url: str, delivery_id: UUID, new_token: NewToken) -> None:
        self._public_url = public_url
        self._own = (f"{public_url}/u/", f"{public_url}/t/")
        self._delivery_id = delivery_id
        self._new_token = new_token
        self._urls: dict[str, str] = {}

    def __call__(self, target: str) -> str | None:
        if (known := self._urls.get(target)) is not None:
            return known
        if target.startswith(self._own) or len(self._urls) == MOST_LINKS:
            return None
        token = self._new_token(self._delivery_id, len(self._urls) + 1, target)
        self._urls[target] = url = f"{self._public_url}/t/c/{token}"
        return url

    @property
    def targets(self) -> Targets:
        return tuple(self._urls)

    @property
    def pixel(self) -> str:
        return f"{self._public_url}/t/o/{self._new_token(self._delivery_id, PIXEL, '')}.gif"


def _exchanged(content: Content, links: _Links) -> Content:
    match content:
        case EmailContent(html=html, text=text):
            marked = None if html is None else exchange_in_html(html, links)
            return replace(content, html=marked, text=exchange_in_text(text, links))
        case SmsContent(body=body):
            return replace(content, body=exchange_in_text(body, links))
        case PushContent(body=body, url=url) | InAppContent(body=body, url=url):
            led = links(url) if url is not None and is_trackable(url) else None
            return replace(content, body=exchange_in_text(body, links), url=led or url)
        case _:
            return content


def _with_pixel(html: str, url: str) -> str:
    """Before the last end of a body, or at the end."""
    image = f'<img src="{escape(url)}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
    at = html.lower().rfind("</body")
    return html + image if at < 0 else html[:at] + image + html[at:]
