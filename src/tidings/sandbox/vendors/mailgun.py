"""Mailgun: messages, also as MIME, with recipient variables; and its signed webhooks.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import hmac
import re
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route, text_reply
from tidings.sandbox.credentials import credential
from tidings.sandbox.formdata import Form, read_form
from tidings.sandbox.magic import Fate, fate_of_address
from tidings.sandbox.mails import DOMAIN, SENDER, addresses, content_of, first_link, is_address
from tidings.sandbox.messages import Content, Event, File, Happening, Sent
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

NAME = "mailgun"
KEY = credential(NAME)
SIGNING_KEY = credential(f"{NAME}-webhook-signing-key")
_AUTHORIZATION = "Basic " + b64encode(f"api:{KEY}".encode()).decode()
_MOST = 1000
_VARIABLE = re.compile(r"%recipient\.([^%]+)%")


def _error(status: int, message: str, **headers: str) -> Reply:
    return json_reply(status, {"message": message}, **headers)


def _check(call: Call) -> Reply | None:
    if call.header("authorization") == _AUTHORIZATION:
        return None
    return text_reply(401, "Forbidden")


def _send(call: Call) -> Reply | Taken:
    form = read_form(call)
    for name in ("from", "to"):
        if not form.text(name):
            return _error(400, f"{name} parameter is missing")
    recipients = addresses(*form.fields["to"])
    wrong = not all(
        is_address(one) and fate_of_address(one) is not Fate.INVALID for one in recipients
    )
    if wrong or not recipients or len(recipients) > _MOST:
        return _error(400, "to parameter is not a valid address. please check documentation")
    if not any(form.text(name) for name in ("text", "html", "template", "amp-html")):
        return _error(
            400,
            "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified",
        )
    return _taken(call, form, recipients, partial(_content, form))


def _send_mime(call: Call) -> Reply | Taken:
    form = read_form(call)
    if not form.text("to"):
        return _error(400, "to parameter is missing")
    mime = [file.data for file in form.files.get("message", ())]
    if not mime:
        return _error(400, "message parameter is missing")
    return _taken(call, form, addresses(*form.fields["to"]), lambda *_: content_of(mime[0]))


def _taken(call: Call, form: Form, recipients: Sequence[str], read: Any) -> Taken:
    message_id = f"{secrets.token_hex(10)}@{call.parts['domain']}"
    reply = json_reply(200, {"id": f"<{message_id}>", "message": "Queued. Thank you."})
    if form.text("o:testmode") in ("yes", "true"):
        return Taken(reply, ())
    variables: Mapping[str, Mapping[str, Any]] = {}
    if form.text("recipient-variables"):
        variables = orjson.loads(form.text("recipient-variables"))
    # With variables each recipient gets a message of its own, and sees no other one.
    groups = [(one,) for one in recipients] if variables else [tuple(recipients)]
    return Taken(
        reply,
        [
            _sent(call, form, group, message_id, variables.get(group[0], {}), read)
            for group in groups
        ],
    )


def _sent(
    call: Call,
    form: Form,
    recipients: tuple[str, ...],
    message_id: str,
    variables: Mapping[str, Any],
    read: Any,
) -> Sent:
    return Sent(
        vendor=NAME,
        channel=Channel.EMAIL,
        sender=form.text("from"),
        recipients=recipients,
        message_id=message_id,
        source=call.body,
        read=partial(read, variables),
        fates=tuple(map(fate_of_address, recipients)),
        copies=addresses(*form.fields.get("cc", ()), *form.fields.get("bcc", ())),
        reference={
            "tags": form.fields.get("o:tag", []),
            "variables": {
                name[2:]: _filled(values[0], variables)
                for name, values in form.fields.items()
                if name.startswith("v:")
            },
        },
    )


def _filled(text: str, variables: Mapping[str, Any]) -> str:
    if not variables or "%recipient" not in text:
        return text
    return _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), text)


def _content(form: Form, variables: Mapping[str, Any]) -> Content:
    return Content(
        subject=_filled(form.text("subject"), variables),
        text=_filled(form.text("text"), variables),
        html=_filled(form.text("html"), variables),
        files=[
            *form.files.get("attachment", ()),
            # The content id of an inline file is its name.
            *(
                File(one.name, one.content_type, one.data, one.name)
                for one in form.files.get("inline", ())
            ),
        ],
        shown={
            name[2:]: _filled(values[0], variables)
            for name, values in form.fields.items()
            if name.startswith("h:")
        },
    )


_EVENTS: Mapping[Happening, Mapping[str, Any]] = {
    Happening.DELIVERED: {
        "event": "delivered",
        "delivery-status": {"code": 250, "message": "OK", "attempt-no": 1},
    },
    Happening.DEFERRED: {
        "event": "failed",
        "severity": "temporary",
        "reason": "generic",
        "delivery-status": {"code": 451, "message": "try again later", "retry-seconds": 600},
    },
    Happening.BOUNCED: {
        "event": "failed",
        "severity": "permanent",
        "reason": "bounce",
        "delivery-status": {
            "code": 550,
            "enhanced-code": "5.1.1",
            "message": "no such user",
            "bounce-type": "hard",
        },
    },
    Happening.SOFT_BOUNCED: {
        "event": "failed",
        "severity": "permanent",
        "reason": "bounce",
        "delivery-status": {
            "code": 452,
            "enhanced-code": "4.2.2",
            "message": "over quota",
            "bounce-type": "soft",
        },
    },
    Happening.DROPPED: {
        "event": "failed",
        "severity": "permanent",
        "reason": "suppress-bounce",
        "delivery-status": {"code": 605, "message": "Not delivering to previously bounced address"},
    },
    Happening.COMPLAINED: {"event": "complained"},
    Happening.UNSUBSCRIBED: {"event": "unsubscribed"},
    Happening.OPENED: {"event": "opened"},
    Happening.CLICKED: {"event": "clicked"},
}
_BY_PEOPLE = frozenset({Happening.OPENED, Happening.CLICKED, Happening.UNSUBSCRIBED})


def _callbacks(reported: Sequence[Reported], place: Place, now: float) -> Iterator[Callback]:
    for sent, event in reported:
        body = {"signature": _signature(now), "event-data": _event(sent, event)}
        yield Callback(
            place.callback(NAME),
            orjson.dumps(body),
            {"content-type": "application/json", "user-agent": "mailgun/webhooks"},
            [event],
        )


def _signature(now: float) -> Mapping[str, str]:
    timestamp, token = str(int(now)), secrets.token_hex(25)
    signed = hmac.digest(SIGNING_KEY.encode(), f"{timestamp}{token}".encode(), "sha256")
    return {"timestamp": timestamp, "token": token, "signature": signed.hex()}


def _event(sent: Sent, event: Event) -> Mapping[str, Any]:
    told = {
        "id": event.event_id,
        "timestamp": event.at,
        "log-level": "info",
        "recipient": event.recipient,
        "recipient-domain": event.recipient.rpartition("@")[2],
        "message": {
            "headers": {"message-id": sent.message_id, "to": event.recipient, "from": sent.sender}
        },
        "tags": sent.reference["tags"],
        "user-variables": sent.reference["variables"],
        "flags": {"is-test-mode": False},
        **_EVENTS[event.happening],
    }
    if event.happening in _BY_PEOPLE:
        told["client-info"] = {"user-agent": "Mozilla/5.0 (sandbox)", "client-type": "browser"}
        told["ip"] = "192.0.2.1"
    if event.happening is Happening.CLICKED:
        told["url"] = first_link(sent.content)
    return told


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "api_key": KEY,
        "domain": DOMAIN,
        "from": SENDER,
        "webhook_signing_keys": [SIGNING_KEY],
        "endpoint": place.at(NAME),
    }


MAILGUN = Vendor(
    name=NAME,
    title="Mailgun",
    channel=Channel.EMAIL,
    docs_url="https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages",
    account=_account,
    check=_check,
    routes=(
        route("POST", r"/v3/(?P<domain>[^/]+)/messages", _send),
        route("POST", r"/v3/(?P<domain>[^/]+)/messages\.mime", _send_mime),
    ),
    throttled=_error(429, "Too many requests", retry_after="1"),
    failed=_error(500, "Internal Server Error"),
    malformed=_error(400, "Bad Request"),
    unknown=text_reply(404, "Not Found"),
    tells=Tells(_callbacks),
)
