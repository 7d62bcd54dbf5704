"""Messages as the page and programs get them."""

import html as markup
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tidings.sandbox.messages import Content, Event, File, Sent

_CID = re.compile(r"cid:([^\s\"'<>)]+)")
_PREVIEW = 140


def summary(sent: Sent) -> Mapping[str, Any]:
    """A line of the list."""
    content = sent.content
    return {
        "number": sent.number,
        "at": _time(sent.at),
        "vendor": sent.vendor,
        "channel": sent.channel,
        "from": sent.sender,
        "to": sent.recipients,
        "subject": content.subject,
        "preview": " ".join(content.text[: 2 * _PREVIEW].split())[:_PREVIEW],
        "message_id": sent.message_id,
        "files": len(content.files),
        "status": sent.events[-1].happening if sent.events else "taken",
    }


def whole(sent: Sent) -> Mapping[str, Any]:
    """All of it but the source, and the files' contents."""
    content = sent.content
    return {
        **summary(sent),
        "cc_and_bcc": sent.copies,
        "text": content.text,
        "html": content.html,
        "fields": content.shown,
        "reference": sent.reference,
        "files": [
            {"name": file.name, "content_type": file.content_type, "size": len(file.data)}
            for file in content.files
        ],
        "size": len(sent.source),
        "events": [_event(event) for event in sent.events],
    }


def html(content: Content) -> str:
    """As a document for a frame; files of the email's own are put into it."""
    if not content.html:
        text = markup.escape(content.text)
        return (
            f'<!doctype html><meta charset="utf-8"><pre style="white-space: pre-wrap">{text}</pre>'
        )
    files = {file.content_id: file for file in content.files if file.content_id}

    def inlined(found: re.Match[str]) -> str:
        file = files.get(found[1])
        return found[0] if file is None else _data_url(file)

    text = _CID.sub(inlined, content.html)
    return f'<!doctype html><meta charset="utf-8"><base target="_blank">{text}'


def _data_url(file: File) -> str:
    return f"data:{file.content_type};base64,{b64encode(file.data).decode()}"


def _event(event: Event) -> Mapping[str, Any]:
    return {
        "happening": event.happening,
        "recipient": event.recipient,
        "at": _time(event.at),
        "text": event.text,
        "callback": event.answer,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
