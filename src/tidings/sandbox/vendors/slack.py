"""Slack: incoming webhooks.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import html
from collections.abc import Mapping
from functools import partial
from typing import Any

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, route, text_reply
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "slack"
_PATH = "/services/T00000000/B00000000/sandbox"
_REFUSED = {
    Fate.INVALID: text_reply(404, "no_service"),
    Fate.BOUNCE: text_reply(404, "no_service"),
    Fate.SUPPRESSED: text_reply(403, "action_prohibited"),
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
        return text_reply(400, "invalid_payload")
    if not (said.get("text") or said.get("blocks") or said.get("attachments")):
        return text_reply(400, "no_text")
    sent = Sent(
        vendor=NAME,
        channel=Channel.CHAT,
        sender="",
        recipients=(call.path,),
        message_id="",
        source=call.body,
        read=partial(_content, said),
        fates=(fate,),
    )
    return Taken(text_reply(200, "ok", "text/html"), [sent])


def _content(said: Mapping[str, Any]) -> Content:
    return Content(text=html.unescape(said.get("text") or ""))


def _account(place: Place) -> Mapping[str, Any]:
    return {"url": f"https://hooks.slack.com{_PATH}", "endpoint": place.at(NAME)}


SLACK = Vendor(
    name=NAME,
    title="Slack",
    channel=Channel.CHAT,
    docs_url="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    account=_account,
    check=_check,
    routes=(route("POST", "/services/[^/]+/[^/]+/(?P<token>[^/]+)", _post),),
    throttled=Reply(429, b"rate_limited", [(b"retry-after", b"1")]),
    failed=text_reply(500, "rollup_error"),
    malformed=text_reply(400, "invalid_payload"),
    unknown=text_reply(404, "no_service"),
)
