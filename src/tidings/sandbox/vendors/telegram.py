"""Telegram: a bot's sendMessage.

https://core.telegram.org/bots/api#sendmessage
"""

import re
import secrets
import time
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import digits
from tidings.sandbox.formdata import read_form
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "telegram"
TOKEN = f"1000000001:{digits(NAME)}"
_BOT = {"id": 1000000001, "is_bot": True, "first_name": "Sandbox", "username": "sandbox_bot"}
_MOST = 4096


def _error(status: int, description: str, **more: Any) -> Reply:
    return json_reply(
        status, {"ok": False, "error_code": status, "description": description, **more}
    )


_REFUSED = {
    Fate.INVALID: _error(400, "Bad Request: chat not found"),
    Fate.BOUNCE: _error(403, "Forbidden: bot was kicked from the group chat"),
    Fate.SUPPRESSED: _error(403, "Forbidden: bot was blocked by the user"),
}


def _check(call: Call) -> Reply | None:
    """The token is in the path; a wrong one is no bot."""
    return None if call.parts["token"] == TOKEN else _error(401, "Unauthorized")


def _send(call: Call) -> Reply | Taken:
    if call.header("content-type").startswith("application/json"):
        said: Mapping[str, Any] = call.document
    else:
        said = {name: values[0] for name, values in read_form(call).fields.items()}
    text, chat = said.get("text") or "", str(said.get("chat_id") or "")
    fate = fate_of_token(chat.removeprefix("@"))
    if not chat:
        return _error(400, "Bad Request: chat_id is empty")
    if fate in _REFUSED:
        return _REFUSED[fate]
    if not text:
        return _error(400, "Bad Request: message text is empty")
    if len(text) > _MOST:
        return _error(400, "Bad Request: message is too long")
    number = 1 + secrets.randbelow(10**9)
    sent = Sent(
        vendor=NAME,
        channel=Channel.CHAT,
        sender=f"@{_BOT['username']}",
        recipients=(chat,),
        message_id=str(number),
        source=call.body,
        read=partial(Content, text=text),
        fates=(fate,),
    )
    result = {
        "message_id": number,
        "from": _BOT,
        "chat": _chat(chat),
        "date": int(time.time()),
        "text": text,
    }
    return Taken(json_reply(200, {"ok": True, "result": result}), [sent])


def _chat(chat: str) -> Mapping[str, Any]:
    """https://core.telegram.org/bots/api#chat: channels have names; users and groups are asked for by number."""
    if re.fullmatch(r"-?[0-9]+", chat):
        return {"id": int(chat), "type": "group" if chat.startswith("-") else "private"}
    name = chat.removeprefix("@")
    number = -(10**12) - zlib.crc32(name.encode())
    return {"id": number, "type": "channel", "title": name, "username": name}


def _me(_: Call) -> Reply:
    return json_reply(200, {"ok": True, "result": _BOT})


def _account(place: Place) -> Mapping[str, Any]:
    return {"token": TOKEN, "chat": "telegram:1000000002", "endpoint": place.at(NAME)}


_BOTS = "/bot(?P<token>[^/]+)"

TELEGRAM = Vendor(
    name=NAME,
    title="Telegram",
    channel=Channel.CHAT,
    docs_url="https://core.telegram.org/bots/api#sendmessage",
    account=_account,
    check=_check,
    routes=(
        route("POST", f"{_BOTS}/sendMessage", _send),
        route("GET", f"{_BOTS}/getMe", _me),
        route("POST", f"{_BOTS}/getMe", _me),
    ),
    throttled=_error(429, "Too Many Requests: retry after 1", parameters={"retry_after": 1}),
    failed=_error(500, "Internal Server Error"),
    malformed=_error(400, "Bad Request: can't parse the request"),
    unknown=_error(404, "Not Found"),
)
