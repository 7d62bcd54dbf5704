"""Amazon SNS: Publish to a phone number. It calls nobody back about text messages: reports go to CloudWatch.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from tidings.domain.channels import Channel
from tidings.sandbox import sigv4
from tidings.sandbox.calls import Call, Reply, Taken, route, text_reply
from tidings.sandbox.magic import Fate, fate_of_number
from tidings.sandbox.messages import Content, Sent
from tidings.sandbox.texts import is_number
from tidings.sandbox.vendor import Place, Vendor

NAME = "sns"
_MOST = 1600
_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


def _error(status: int, code: str, message: str, **headers: str) -> Reply:
    kind = "Sender" if status < 500 else "Receiver"
    return _xml(
        status,
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>{uuid4()}</RequestId></ErrorResponse>",
        **headers,
    )


def _xml(status: int, text: str, **headers: str) -> Reply:
    extra = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    reply = text_reply(status, text, "text/xml")
    return Reply(status, reply.body, [*reply.headers, *extra])


def _result(action: str, result: str) -> Reply:
    return _xml(
        200,
        f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata></{action}Response>",
    )


def _check(call: Call) -> Reply | None:
    wrong = sigv4.problem(call)
    return None if wrong is None else _error(403, *wrong)


def _act(call: Call) -> Reply | Taken:
    action = call.form.get("Action")
    if action == "Publish":
        return _publish(call)
    if action == "GetSMSAttributes":
        return _result("GetSMSAttributes", "<attributes></attributes>")
    return _error(400, "InvalidAction", "Could not find operation")


def _publish(call: Call) -> Reply | Taken:
    form = call.form
    number, text = form.get("PhoneNumber", ""), form.get("Message", "")
    fate = fate_of_number(number)
    if not is_number(number) or fate is Fate.INVALID:
        return _error(
            400,
            "InvalidParameter",
            f"Invalid parameter: PhoneNumber Reason: {number} is not valid to publish to",
        )
    if fate is Fate.SUPPRESSED:
        return _error(
            400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: it has opted out"
        )
    if not text:
        return _error(400, "InvalidParameter", "Invalid parameter: Empty message")
    if len(text) > _MOST:
        return _error(400, "InvalidParameter", "Invalid parameter: Message too long")
    attributes = _attributes(form)
    sent = Sent(
        vendor=NAME,
        channel=Channel.SMS,
        sender=attributes.get("AWS.SNS.SMS.SenderID")
        or attributes.get("AWS.MM.SMS.OriginationNumber", ""),
        recipients=(number,),
        message_id=str(uuid4()),
        source=call.body,
        read=partial(Content, text=text, shown=attributes),
        fates=(fate,),
    )
    return Taken(_result("Publish", f"<MessageId>{sent.message_id}</MessageId>"), [sent])


def _attributes(form: Mapping[str, str]) -> Mapping[str, str]:
    return {
        value: form.get(f"{name.removesuffix('.Name')}.Value.StringValue", "")
        for name, value in form.items()
        if name.startswith("MessageAttributes.entry.") and name.endswith(".Name")
    }


def _account(place: Place) -> Mapping[str, Any]:
    return {
        "region": sigv4.REGION,
        "access_key_id": sigv4.ACCESS_KEY_ID,
        "secret_access_key": sigv4.SECRET_ACCESS_KEY,
        "from": ["SANDBOX"],
        "endpoint": place.at(NAME),
    }


SNS = Vendor(
    name=NAME,
    title="Amazon SNS",
    channel=Channel.SMS,
    docs_url="https://docs.aws.amazon.com/sns/latest/api/API_Publish.html",
    account=_account,
    check=_check,
    routes=(route("POST", "/", _act),),
    throttled=_error(429, "Throttled", "Rate exceeded", retry_after="1"),
    failed=_error(500, "InternalError", "Internal service error"),
    malformed=_error(400, "ValidationError", "The input is not valid."),
    unknown=_error(404, "InvalidAction", "Could not find operation"),
    extra=("aws", "botocore"),
)
