"""Many emails in one call of SendBulkEmail: what may share one, its body, and what its answer says of each.

What is sent is rendered already, so the template is nothing but variables, and each entry has the values of all of them: none
can be missing, which is what makes Amazon accept an email that it cannot fill in. Nothing is escaped on the way.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html
https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-advanced.html
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from tidings.domain.outcomes import Accepted, Outcome
from tidings.providers.headers import one_line
from tidings.providers.letters import Letter
from tidings.providers.mailbox import Mailbox
from tidings.providers.refusals import UNREADABLE
from tidings.providers.ses.envelope import destination, tags
from tidings.providers.ses.verdicts import TABLE

SHARED_HEADERS = {"Auto-Submitted": "auto-generated"}

DESTINATIONS = 50
"""Recipients in one call, copies among them. Amazon counts entries, and wherever it counts recipients, no more than this."""
_CALL_SIZE = 900_000
"""Bytes of all entries: a call with its template inside it may have 1 MB."""
_ENTRY = 262_144
"""Bytes of an entry: as many characters may its values have."""
_HEADERS, _NAME, _VALUE, _BOTH = 15, 126, 995, 996
"""https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageHeader.html"""
_BY_ITSELF = frozenset({"INVALID_PARAMETER", "TEMPLATE_NOT_FOUND", "FAILED"})
"""Statuses that may be about the call rather than the email: Amazon did not take it, and sends it, or says why not, when it
is sent composed."""
_NOT_FOR_BULK = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True)
class Item:
    """A letter, and what a call for many says of it, which is made when it is first asked for."""

    letter: Letter = field(repr=False)

    @cached_property
    def values(self) -> Mapping[str, str]:
        """What differs from email to email, by the names that Amazon has for the parts; only what there is."""
        content = self.letter.content
        values = {"subject": one_line(content.subject)}
        if content.text:
            values["text"] = content.text
        if content.html:
            values["html"] = content.html
        return values

    @cached_property
    def entry(self) -> bytes:
        letter = self.letter
        headers = {**SHARED_HEADERS, **letter.headers}
        return orjson.dumps(
            {
                "Destination": destination(letter, _address),
                "ReplacementTags": tags(letter),
                "ReplacementEmailContent": {
                    "ReplacementTemplate": {
                        "ReplacementTemplateData": orjson.dumps(self.values).decode()
                    }
                },
                "ReplacementHeaders": [{"Name": n, "Value": v} for n, v in headers.items()],
            }
        )

    @property
    def recipients(self) -> int:
        return 1 + len(self.letter.cc) + len(self.letter.bcc)

    @property
    def group(self) -> Hashable:
        """What must be equal within one call; None for what goes alone."""
        letter = self.letter
        if not self._fits:
            return None
        by = letter.reply_to
        reply_to = None if by is None else (by.name, by.address)
        return letter.sender, reply_to, tuple(self.values)

    @property
    def _fits(self) -> bool:
        """Files would go to all, and headers here are short ASCII. A value that looks like a variable is sent as it is only
        as long as values are not read as templates, which no page of Amazon's promises."""
        letter, values = self.letter, self.values
        return (
            not letter.content.attachments
            and len(values) > 1
            and bool(values["subject"])
            and self.recipients <= DESTINATIONS
            and len(SHARED_HEADERS) + len(letter.headers) <= _HEADERS
            and all(map(_is_header, letter.headers, letter.headers.values()))
            and not any("{{" in value or "}}" in value for value in values.values())
            and len(self.entry) <= _ENTRY
        )


def groups(items: Sequence[Item]) -> Sequence[Sequence[int]]:
    together: dict[Hashable, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        together[item.group or at].append(at)
    return [part for group in together.values() for part in _parts(items, group)]


def body(items: Sequence[Item], sender: Mailbox, configuration_set: str) -> bytes:
    """All of them as one request: alike as `Item.group` says."""
    first = items[0].letter
    names = items[0].values
    template = {name.capitalize(): f"{{{{{name}}}}}" for name in names}
    email: dict[str, Any] = {
        "FromEmailAddress": _address(first.sender or sender),
        "DefaultContent": {
            "Template": {
                "TemplateContent": template,
                "TemplateData": orjson.dumps(dict.fromkeys(names, "")).decode(),
            }
        },
        "BulkEmailEntries": [orjson.Fragment(item.entry) for item in items],
    }
    if first.reply_to is not None:
        email["ReplyToAddresses"] = [_address(first.reply_to)]
    if configuration_set:
        email["ConfigurationSetName"] = configuration_set
    return orjson.dumps(email)


def results(said: Mapping[str, Any], count: int) -> Sequence[Outcome | None]:
    """Of an answer that names a result for each, in order. Where it names more or fewer, nobody knows whose they are."""
    found = said.get("BulkEmailEntryResults")
    if not isinstance(found, list) or len(found) != count:
        return [UNREADABLE] * count
    return [_result(one) for one in found]


def refused_as_many(code: str) -> bool:
    """Whether emails one by one may be sent, though many in a call may not: the keys need a permission of its own for that."""
    return code in _NOT_FOR_BULK


def _parts(items: Sequence[Item], group: Sequence[int]) -> Sequence[Sequence[int]]:
    """Cut where the size or the number of recipients is reached."""
    if len(group) == 1:
        return [group]
    parts: list[list[int]] = [[]]
    size = recipients = 0
    for at in group:
        item = items[at]
        over = size + len(item.entry) > _CALL_SIZE or recipients + item.recipients > DESTINATIONS
        if parts[-1] and over:
            parts.append([])
            size = recipients = 0
        parts[-1].append(at)
        size += len(item.entry)
        recipients += item.recipients
    return parts


def _address(mailbox: Mailbox) -> str:
    """With its name, as a header has it: for Amazon takes nothing but ASCII."""
    return mailbox.field("").decode().removeprefix(": ").replace("\r\n", "").strip()


def _is_header(name: str, value: str) -> bool:
    return (
        len(name) <= _NAME
        and 0 < len(value) <= _VALUE
        and len(name) + len(value) <= _BOTH
        and value.isascii()  # and on one line: see read_letter()
    )


def _result(one: Any) -> Outcome | None:
    status = one.get("Status") if isinstance(one, dict) else None
    if not isinstance(status, str):
        return UNREADABLE
    if status == "SUCCESS":
        message_id = one.get("MessageId")
        return Accepted(message_id if isinstance(message_id, str) else None, detail="HTTP 200")
    return None if status in _BY_ITSELF else TABLE.refusal(200, status, str(one.get("Error") or ""))
