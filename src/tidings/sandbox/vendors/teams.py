"""Microsoft Teams: webhooks of workflows, which take messages with adaptive cards.

https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tidings.domain.channels import Channel
from tidings.sandbox.calls import Call, Reply, Taken, json_reply, route
from tidings.sandbox.magic import Fate, fate_of_token
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.vendor import Place, Vendor

NAME = "teams"
_PATH = "/webhookb2/sandbox"
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def _error(status: int, code: str, message: str, **headers: str) -> Reply:
    return json_reply(status, {"error": {"code": code, "message": message}}, **headers)


_GONE = _error(404, "WorkflowNotFound", "The workflow could not be found.")
_REFUSED = {
    Fate.INVALID: _GONE,
    Fate.BOUNCE: _GONE,
    Fate.SUPPRESSED: _error(400, "WorkflowTriggerIsNotEnabled", "The workflow is not enabled."),
}


def _check(_: Call) -> Reply | None:
    """The address is the credential."""
    return None


def _post(call: Call) -> Reply | Taken:
    fate = fate_of_token(call.path.rpartition("/")[2])
    if fate in _REFUSED:
        return _REFUSED[fate]
    said = call.document
    if not isinstance(said, dict) or not (said.get("attachments") or said.get("text")):
        return _error(
            400, "TriggerInputSchemaMismatch", "The input body does not match the schema."
        )
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
    return Taken(Reply(202), [sent])


def _content(said: Mapping[str, Any]) -> Content:
    lines = [_ESCAPE.sub(r"\1", text) for text in _texts(said)]
    return Content(text="\n".join(lines))


def _texts(said: Mapping[str, Any]) -> Iterator[str]:
    if said.get("text"):
        yield said["text"]
    for attachment in said.get("attachments") or ():
        for block in attachment["content"]["body"]:
            yield block.get("text") or ""


def _account(place: Place) -> Mapping[str, Any]:
    return {"url": f"https://sandbox.webhook.office.com{_PATH}", "endpoint": place.at(NAME)}


TEAMS = Vendor(
    name=NAME,
    title="Microsoft Teams",
    channel=Channel.CHAT,
    docs_url="https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
    account=_account,
    check=_check,
    routes=(route("POST", "/.+", _post),),
    throttled=_error(429, "TooManyRequests", "Rate limit is exceeded.", retry_after="1"),
    failed=_error(500, "InternalServerError", "Encountered internal server error."),
    malformed=_error(
        400, "TriggerInputSchemaMismatch", "The input body does not match the schema."
    ),
    unknown=_error(405, "MethodNotAllowed", "The HTTP method is not allowed."),
)
