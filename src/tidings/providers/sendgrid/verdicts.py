"""SendGrid's errors.

A 400 names the field that is wrong, which says more than its text; the rules' codes are that field,
with its positions left out.
"""

import re
from typing import Any

from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    REJECTED,
    TOO_LARGE,
    Table,
    rule,
)

TABLE = Table(
    "https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors",
    (
        rule(ACCOUNT, "Maximum credits exceeded", statuses=(401,), text="maximum credits"),
        rule(ACCOUNT, "the sender is not a verified identity", codes="from", statuses=(400, 403)),
        rule(
            ACCOUNT, "the account may not send", statuses=(403,), text="suspend|not allowed|banned"
        ),
        rule(
            ACCOUNT,
            "the data of the account may not leave its region: the endpoint is of another one",
            statuses=(451,),
        ),
        rule(
            ADDRESS,
            "the recipient's address is not valid",
            codes="personalizations.to personalizations.to.email",
            statuses=(400,),
        ),
        rule(
            REJECTED,
            "another address of it is not valid",
            codes="personalizations.cc.email personalizations.bcc.email reply_to.email reply_to",
            statuses=(400,),
        ),
        rule(
            CONTENT,
            "the content is not valid",
            codes="subject content content.value attachments attachments.content headers",
            statuses=(400,),
        ),
        rule(TOO_LARGE, "the message exceeds 30 MB", statuses=(413,)),
    ),
)

_POSITION = re.compile(r"\.?\[?\b\d+\b\]?")
_PERSONALIZATION = re.compile(r"personalizations\W(\d+)\b")


def first_error(found: Any) -> tuple[str, str]:
    """The field, without positions, and the text of the first error; empty where it is none."""
    for error in errors_of(found):
        return field_of(error), str(error.get("message") or "")
    return "", ""


def errors_of(found: Any) -> list[dict[str, Any]]:
    errors = found.get("errors") if isinstance(found, dict) else None
    return [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []


def field_of(error: dict[str, Any]) -> str:
    return _POSITION.sub("", str(error.get("field") or ""))


def blamed(error: dict[str, Any]) -> int | None:
    """Which personalization an error speaks of."""
    found = _PERSONALIZATION.match(str(error.get("field") or ""))
    return int(found[1]) if found else None
