"""An endpoint for webhooks, signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import time
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.credentials import signing_key, signing_secret
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "webhook"
SECRET = signing_secret(NAME)
_TOLERANCE = 300  # seconds
_GONE = json_reply(410, {"error": "gone"})


def _check(call: Call) -> Reply | None:
    message_id, timestamp = call.header("webhook-id"), call.header("webhook-timestamp")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > _TOLERANCE:
        return json_reply(401, {"error": "no timestamp, or too old"})
    signed = f"{message_id}.{timestamp}.".encode() + call.body
    wanted = "v1," + b64encode(hmac.digest(signing_key(NAME), signed, "sha256")).decode()
    if not any(
        hmac.compare_digest(wanted, one) for one in call.header("webhook-signature").split()
    ):
        return json_reply(401, {"error": "the signature is not right"})
    return None


def _take(call: Call) -> Reply | Taken:
    fate = fate_of_token(call.path.rpartition("/")[2])
    if fate in (Fate.INVALID, Fate.BOUNCE):
        return json_reply(404, {"error": "not found"})
    if fate is Fate.SUPPRESSED:
        return _GONE
    sent = Sent(
        vendor=NAME,
        channel=Channel.WEBHOOK,
        sender="",
        recipients=(call.path,),
        message_id=call.header("webhook-id"),
        source=call.body,
        read=partial(_content, call.body),
        fates=(fate,),
    )
    return Taken(Reply(204), [sent])


def _content(body: bytes) -> Content:
    said = orjson.loads(body)
    kind = str(said.get("type", "")) if isinstance(said, dict) else ""
    return Content(subject=kind, text=orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())


def _exists(_: Call) -> Reply:
    return Reply(204)


def _account(place: Place) -> Mapping[str, Any]:
    return {"url": place.at(NAME) + "/", "secret": [SECRET]}


WEBHOOK = Vendor(
    name=NAME,
    title="Webhook",
    channel=Channel.WEBHOOK,
    docs_url="https://www.standardwebhooks.com",
    account=_account,
    check=_check,
    routes=(route("POST", "/.*", _take), route("HEAD", "/.*", _exists, open=True)),
    throttled=json_reply(429, {"error": "too many requests"}, retry_after="1"),
    failed=json_reply(503, {"error": "busy"}),
    malformed=json_reply(400, {"error": "not JSON"}),
    unknown=json_reply(405, {"error": "POST is needed"}),
)
