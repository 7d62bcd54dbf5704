"""A template version compiled once: a function per channel from data to content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from tidings.domain.channels import Channel
from tidings.domain.locales import fallbacks
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
from tidings.domain.shared import BRAND
from tidings.domain.templates import Edition, EngineName
from tidings.rendering.allowance import KEY, Budget, LimitExceededError, spend_for
from tidings.rendering.assembling import assembled
from tidings.rendering.bodies import html_body, text_body
from tidings.rendering.engine import Field, RenderingError, TemplateSourceError
from tidings.rendering.engines import ENGINES, Engine
from tidings.rendering.formatting import LANGUAGE, PLAIN
from tidings.rendering.locating import located

Context = Mapping[str, Any]
Render = Callable[[Context], Content]
Source = Mapping[str, Any]

_SHOWN = frozenset({"title", "body", "url"})

_NO_LOCALES: Mapping[str, Mapping[Channel, Source]] = MappingProxyType({})


def compile_edition(
    template_id: str, edition: Edition, engines: Mapping[EngineName, Engine] = ENGINES
) -> dict[Channel, Render]:
    """Every channel, with what it shares in its places. Raises TemplateSourceError."""
    whole = assembled(edition)
    try:
        renders = compile_content(
            template_id, whole.content, whole.locales, whole.locale, engines[edition.engine]
        )
    except TemplateSourceError as error:
        raise located(edition, error) from None
    if edition.shared.brand is None:
        return renders
    brand = dict(edition.shared.brand.content)
    return {channel: _branded(render, brand) for channel, render in renders.items()}


def _branded(render: Render, brand: JSON) -> Render:
    """Data of this name goes before it."""
    return lambda context: render(
        context if BRAND in context["data"] else {**context, BRAND: brand}
    )


def compile_content(
    template_id: str,
    content: Mapping[Channel, Source],
    locales: Mapping[str, Mapping[Channel, Source]] = _NO_LOCALES,
    locale: str | None = None,
    engine: Engine = ENGINES["jinja"],
) -> dict[Channel, Render]:
    """Compile every channel. locales: by language tag, what is used instead for those who read it.
    locale: the language of `content`. Raises TemplateSourceError."""
    return {
        channel: _in_languages(
            _written(engine, template_id, channel, source, locale),
            {
                tag: _of_locale(engine, template_id, channel, translated[channel], tag)
                for tag, translated in locales.items()
                if channel in translated
            },
        )
        for channel, source in content.items()
    }


def _of_locale(
    engine: Engine, template_id: str, channel: Channel, source: Source, tag: str
) -> Render:
    try:
        return _written(engine, template_id, channel, source, tag)
    except TemplateSourceError as error:
        raise error.of(tag) from None


def _written(
    engine: Engine, template_id: str, channel: Channel, source: Source, locale: str | None
) -> Render:
    """Content in a language: its filters write numbers and dates as that language does."""
    render = _COMPILERS[channel](engine, template_id, source, locale)
    return render if locale is None else lambda context: render({**context, LANGUAGE: locale})


def _in_languages(default: Render, translated: Mapping[str, Render]) -> Render:
    """Content without translations costs nothing for those that others have."""
    if not translated:
        return default

    def render(context: Context) -> Content:
        for tag in fallbacks(context["recipient"].get("locale")):
            if (found := translated.get(tag)) is not None:
                return found(context)
        return default(context)

    return render


def _email(engine: Engine, _: str, source: Source, locale: str | None) -> Render:
    subject = engine.field("email.subject", source["subject"])
    html = html_body(engine, source, locale)
    text = text_body(engine, source, html)
    reply_to = _optional(engine, "email.reply_to", source.get("reply_to"))
    headers = {
        name: engine.field(f"email.headers.{name}", text)
        for name, text in source.get("headers", {}).items()
    }
    tags = tuple(source.get("tags", ()))

    def render(context: Context) -> EmailContent:
        rendered = html.field.render(context) if html else None
        return EmailContent(
            subject=subject.line(context),
            html=rendered,
            text=text(context, rendered or ""),
            reply_to=reply_to.line(context) if reply_to else None,
            headers=_filled(headers, context) if headers else {},
            tags=tags,
        )

    return render


def _filled(headers: Mapping[str, Field], context: Context) -> Mapping[str, str]:
    """A header that turned out empty is left out."""
    lines = {name: one.line(context) for name, one in headers.items()}
    return {name: line for name, line in lines.items() if line}


def _sms(engine: Engine, _: str, source: Source, __: str | None) -> Render:
    body = engine.field("sms.body", source["body"])
    return lambda context: SmsContent(body.render({**context, PLAIN: True}))


def _chat(engine: Engine, _: str, source: Source, __: str | None) -> Render:
    body = engine.field("chat.body", source["body"])
    return lambda context: ChatContent(body.render(context))


def _notice(
    engine: Engine, channel: str, make: Callable[[str, str, str | None], Content], source: Source
) -> Render:
    title = engine.field(f"{channel}.title", source["title"])
    body = engine.field(f"{channel}.body", source["body"])
    url = _optional(engine, f"{channel}.url", source.get("url"))
    return lambda context: make(
        title.line(context), body.render(context), url.line(context) if url else None
    )


def _push(engine: Engine, _: str, source: Source, __: str | None) -> Render:
    shown = _notice(engine, "push", PushContent, source)
    beside: JSON = {name: value for name, value in source.items() if name not in _SHOWN}
    if not beside:
        return shown
    options = _json(engine, "push", beside)
    return lambda context: replace(
        cast("PushContent", shown(context)), options=cast("dict[str, JSON]", options(context))
    )


def _in_app(engine: Engine, _: str, source: Source, __: str | None) -> Render:
    return _notice(engine, "in_app", InAppContent, source)


def _webhook(engine: Engine, template_id: str, source: Source, _: str | None) -> Render:
    kind: str = source.get("type") or template_id
    if source.get("payload") is None:
        return lambda context: WebhookContent(kind, context["data"])
    payload = _json(engine, "webhook.payload", source["payload"])
    return lambda context: WebhookContent(kind, payload(context))


def _json(engine: Engine, path: str, value: JSON) -> Callable[[Context], JSON]:
    """JSON whose strings are templates; its shape cannot be changed by the data. The strings may be thousands: together
    they have the budget of one field."""
    made = _made(engine, path, value)
    return lambda context: made({**context, KEY: Budget()})


def _made(engine: Engine, path: str, value: JSON) -> Callable[[Context], JSON]:
    if isinstance(value, str):
        return _paid(engine.field(path, value))
    if isinstance(value, dict):
        members = {key: _made(engine, f"{path}.{key}", member) for key, member in value.items()}
        return lambda context: {key: member(context) for key, member in members.items()}
    if isinstance(value, list):
        items: Sequence[Callable[[Context], JSON]] = [
            _made(engine, f"{path}.{index}", item) for index, item in enumerate(value)
        ]
        return lambda context: [item(context) for item in items]
    return lambda _: value


def _paid(field: Field) -> Callable[[Context], str]:
    def render(context: Context) -> str:
        text = field.render(context)
        try:
            spend_for(context[KEY], text)
        except LimitExceededError as error:
            said = f"{field.path}: {error}"
            raise RenderingError(Reason.RENDERING_LIMIT, said) from None
        return text

    return render


def _optional(engine: Engine, path: str, source: str | None) -> Field | None:
    return None if source is None else engine.field(path, source)


_COMPILERS: dict[Channel, Callable[[Engine, str, Source, str | None], Render]] = {
    Channel.EMAIL: _email,
    Channel.SMS: _sms,
    Channel.PUSH: _push,
    Channel.IN_APP: _in_app,
    Channel.WEBHOOK: _webhook,
    Channel.CHAT: _chat,
}
