"""What a channel does to content that is too long for it, told before it is sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tidings.domain.channels import Channel
from tidings.domain.messages import (
    ChatContent,
    Content,
    EmailContent,
    InAppContent,
    PushContent,
    SmsContent,
)
from tidings.domain.segments import foreign_to_gsm, segments

_SUBJECT_LINE = 998
"""RFC 5322, 2.1.1: octets of a line, of which the subject is one."""
_SUBJECT_SHOWN = 60
_HTML_SHOWN = 102 * 1024
"""Bytes after which Gmail cuts a message off."""
_SMS_PARTS = 10
"""Joined parts that carriers and vendors take: 1,530 GSM or 670 other characters."""
_PUSH_PAYLOAD = 4_096
"""Bytes: APNs (Apple, "Generating a remote notification") and FCM (Firebase, "About FCM messages")."""
_PUSH_TITLE, _PUSH_BODY = 50, 150
_IN_APP_TITLE, _IN_APP_BODY = 100, 2_000
_CHAT_BODY = 2_000
"""Discord refuses longer ones; Telegram takes 4,096, Slack cuts at 40,000."""


@dataclass(frozen=True, slots=True)
class Advice:
    """path: the field, as email.subject. refused: whether providers will not take it, rather than cut it or
    bill it as more."""

    code: str
    path: str
    message: str
    refused: bool = False


def advice(channel: Channel, content: Content) -> list[Advice]:
    """What is to be said of content as it was rendered."""
    look = _LOOKS.get(channel)
    return list(look(content)) if look else []


def _email(content: EmailContent) -> Iterator[Advice]:
    octets, shown = len(content.subject.encode()), len(content.subject)
    if not content.subject:
        yield Advice("subject_empty", "email.subject", "it is empty")
    if octets > _SUBJECT_LINE:
        said = f"{octets} octets; a line of a mail's head has at most {_SUBJECT_LINE}"
        yield Advice("subject_too_long", "email.subject", said, refused=True)
    elif shown > _SUBJECT_SHOWN:
        said = f"{shown} characters; mail programs show about {_SUBJECT_SHOWN}"
        yield Advice("subject_long", "email.subject", said)
    if content.html is not None and (size := len(content.html.encode())) > _HTML_SHOWN:
        said = f"{size // 1024} KiB; Gmail cuts off what is over {_HTML_SHOWN // 1024}"
        yield Advice("html_large", "email.html", said)


def _sms(content: SmsContent) -> Iterator[Advice]:
    found = segments(content.body)
    counted = f"{found.parts} parts ({found.units} units of {found.encoding})"
    if found.parts > _SMS_PARTS:
        said = f"{counted}; at most {_SMS_PARTS} are joined to one message"
        yield Advice("sms_too_long", "sms.body", said, refused=True)
    elif found.parts > 1:
        yield Advice("sms_parts", "sms.body", f"{counted}, each of which is billed")
    if found.parts > 1 and (foreign := foreign_to_gsm(content.body)):
        said = f"not in the GSM alphabet, so that fewer characters fit in a part: {foreign[:20]}"
        yield Advice("sms_alphabet", "sms.body", said)


def _push(content: PushContent) -> Iterator[Advice]:
    alert = {"title": content.title, "body": content.body, "url": content.url or ""}
    size = len(orjson.dumps({"aps": {"alert": alert}, **content.options}))
    if size > _PUSH_PAYLOAD:
        said = f"{size} bytes; Apple and Google take {_PUSH_PAYLOAD}"
        yield Advice("push_too_large", "push.body", said, refused=True)
    yield from _lengths("push", content.title, content.body, _PUSH_TITLE, _PUSH_BODY)


def _in_app(content: InAppContent) -> Iterator[Advice]:
    yield from _lengths("in_app", content.title, content.body, _IN_APP_TITLE, _IN_APP_BODY)


def _lengths(
    channel: str, title: str, body: str, title_shown: int, body_shown: int
) -> Iterator[Advice]:
    for name, text, shown in (("title", title, title_shown), ("body", body, body_shown)):
        if len(text) > shown:
            said = f"{len(text)} characters; about {shown} are shown"
            yield Advice(f"{channel}_{name}_long", f"{channel}.{name}", said)


def _chat(content: ChatContent) -> Iterator[Advice]:
    if len(content.body) > _CHAT_BODY:
        said = f"{len(content.body)} characters; some services take {_CHAT_BODY}"
        yield Advice("chat_long", "chat.body", said)


_LOOKS: dict[Channel, Callable[[Any], Iterator[Advice]]] = {
    Channel.EMAIL: _email,
    Channel.SMS: _sms,
    Channel.PUSH: _push,
    Channel.IN_APP: _in_app,
    Channel.CHAT: _chat,
}
