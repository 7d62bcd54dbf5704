"""A template version compiled once: a function per channel from data to content."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inscriptis import get_text
from inscriptis.model.config import ParserConfig

from tidings.domain.channels import Channel
from tidings.domain.messages import (
    JSON,
    ChatContent,
    Content,
    EmailContent,
    InAppContent,
    PushContent,
    SmsContent,
    WebhookContent,
)
from tidings.domain.reasons import Reason
from tidings.rendering.engine import Field, RenderingError

Context = Mapping[str, Any]
Render = Callable[[Context], Content]
Source = Mapping[str, Any]

_HTML_TO_TEXT = ParserConfig(display_links=True, display_anchors=False)


def compile_content(template_id: str, content: Mapping[Channel, Source]) -> dict[Channel, Render]:
    """Compile every channel. Raises TemplateSourceError."""
    return {
        channel: _COMPILERS[channel](template_id, source) for channel, source in content.items()
    }


def _email(_: str, source: Source) -> Render:
    subject = Field("email.subject", source["subject"])
    html = _optional("email.html", source.get("html"), html=True)
    text = _optional("email.text", source.get("text"))
    reply_to = _optional("email.reply_to", source.get("reply_to"))

    def render(context: Context) -> EmailContent:
        rendered = html.render(context) if html else None
        return EmailContent(
            subject=subject.line(context),
            html=rendered,
            text=text.render(context) if text else _text_of(rendered or ""),
            reply_to=reply_to.line(context) if reply_to else None,
        )

    return render


def _text_of(html: str) -> str:
    """The text of an HTML body. Raises RenderingError."""
    try:
        text: str = get_text(html, _HTML_TO_TEXT)
    except Exception as error:  # noqa: BLE001 - the parser's errors are not documented, and HTML may be anything
        raise RenderingError(
            Reason.RENDERING_FAILED,
            f"email.text: {type(error).__name__} while made from email.html",
        ) from None
    return text


def _sms(_: str, source: Source) -> Render:
    body = Field("sms.body", source["body"])
    return lambda context: SmsContent(body.render(context))


def _chat(_: str, source: Source) -> Render:
    body = Field("chat.body", source["body"])
    return lambda context: ChatContent(body.render(context))


def _notice(
    channel: str, make: Callable[[str, str, str | None], Content], source: Source
) -> Render:
    title = Field(f"{channel}.title", source["title"])
    body = Field(f"{channel}.body", source["body"])
    url = _optional(f"{channel}.url", source.get("url"))
    return lambda context: make(
        title.line(context), body.render(context), url.line(context) if url else None
    )


def _push(_: str, source: Source) -> Render:
    return _notice("push", PushContent, source)


def _in_app(_: str, source: Source) -> Render:
    return _notice("in_app", InAppContent, source)


def _webhook(template_id: str, source: Source) -> Render:
    kind: str = source.get("type") or template_id
    if source.get("payload") is None:
        return lambda context: WebhookContent(kind, context["data"])
    payload = _json("webhook.payload", source["payload"])
    return lambda context: WebhookContent(kind, payload(context))


def _json(path: str, value: JSON) -> Callable[[Context], JSON]:
    """JSON whose strings are templates; its shape cannot be changed by the data."""
    if isinstance(value, str):
        return Field(path, value).render
    if isinstance(value, dict):
        members = {key: _json(f"{path}.{key}", member) for key, member in value.items()}
        return lambda context: {key: member(context) for key, member in members.items()}
    if isinstance(value, list):
        items: Sequence[Callable[[Context], JSON]] = [
            _json(f"{path}.{index}", item) for index, item in enumerate(value)
        ]
        return lambda context: [item(context) for item in items]
    return lambda _: value


def _optional(path: str, source: str | None, *, html: bool = False) -> Field | None:
    return None if source is None else Field(path, source, html=html)


_COMPILERS: dict[Channel, Callable[[str, Source], Render]] = {
    Channel.EMAIL: _email,
    Channel.SMS: _sms,
    Channel.PUSH: _push,
    Channel.IN_APP: _in_app,
    Channel.WEBHOOK: _webhook,
    Channel.CHAT: _chat,
}
