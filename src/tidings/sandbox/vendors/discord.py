"""Discord: webhooks.

https://discord.com/developers/docs/resources/webhook#execute-webhook
"""

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "discord"
_WEBHOOK = "100000000000000001"
_MOST = 2000
# https://discord.com/developers/docs/reference#boolean-query-strings
_WAITS = frozenset({"wait=true", "wait=True", "wait=1"})


def _error(status: int, code: int, message: str) -> Reply:
    return json_reply(status, {"message": message, "code": code})


_UNKNOWN = _error(404, 10015, "Unknown Webhook")
_REFUSED = {
    Fate.INVALID: _UNKNOWN,
    Fate.BOUNCE: _UNKNOWN,
    Fate.SUPPRESSED: _error(401, 50027, "Invalid Webhook Token"),
}


def _check(_: Call) -> Reply | None:
    """The address is the credential."""
    return None


def _post(call: Call) -> Reply | Taken:
    fate = fate_of_token(call.parts["token"])
    if fate in _REFUSED:
        return _REFUSED[fate]
    said = call.document
    if not isinstance(said, dict):
        return _error(400, 50109, "The request body contains invalid JSON.")
    text = said.get("content") or ""
    if not (text or said.get("embeds")):
        return _error(400, 50006, "Cannot send an empty message")
    if len(text) > _MOST:
        return _error(400, 50035, "Invalid Form Body")
    sent = Sent(
        vendor=NAME,
        channel=Channel.CHAT,
        sender=str(said.get("username") or ""),
        recipients=(call.path,),
        message_id=str(10**18 + secrets.randbelow(10**17)),
        source=call.body,
        read=partial(Content, text=text),
        fates=(fate,),
    )
    waiting = not _WAITS.isdisjoint(call.query.split("&"))
    return Taken(json_reply(200, _message(call, sent, text)) if waiting else Reply(204), [sent])


def _message(call: Call, sent: Sent, text: str) -> Mapping[str, Any]:
    return {
        "id": sent.message_id,
        "type": 0,
        "content": text,
        "channel_id": "100000000000000002",
        "webhook_id": call.parts["id"],
        "attachments": [],
        "embeds": [],
    }


def _show(call: Call) -> Reply:
    return json_reply(200, {"id": call.parts["id"], "type": 1, "name": "Sandbox"})


def _account(place: Place) -> Mapping[str, Any]:
    url = f"https://discord.com/api/webhooks/{_WEBHOOK}/sandbox"
    return {"url": url, "endpoint": place.at(NAME)}


_PATH = r"/api(/v\d+)?/webhooks/(?P<id>\d+)/(?P<token>[^/]+)"

DISCORD = Vendor(
    name=NAME,
    title="Discord",
    channel=Channel.CHAT,
    docs_url="https://discord.com/developers/docs/resources/webhook#execute-webhook",
    account=_account,
    check=_check,
    routes=(route("POST", _PATH, _post), route("GET", _PATH, _show)),
    throttled=json_reply(
        429,
        {"message": "You are being rate limited.", "retry_after": 1.0, "global": False},
        retry_after="1",
    ),
    failed=_error(500, 0, "500: Internal Server Error"),
    malformed=_error(400, 50035, "Invalid Form Body"),
    unknown=_error(404, 0, "404: Not Found"),
)
