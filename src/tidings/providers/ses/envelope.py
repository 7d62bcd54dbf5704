"""What a call says of an email beside its content: whom it goes to, and by which tags reports name it."""

import re
from collections.abc import Callable

from tidings.providers.letters import Letter
from tidings.providers.mailbox import Mailbox

_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.@-]")
_TAGS, _TAG = 50, 256
"""https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html"""


def destination(letter: Letter, shown: Callable[[Mailbox], str]) -> dict[str, list[str]]:
    """shown: how the address of a copy is written."""
    found = {"ToAddresses": [letter.to.address]}
    for name, mailboxes in (("CcAddresses", letter.cc), ("BccAddresses", letter.bcc)):
        if mailboxes:
            found[name] = list(map(shown, mailboxes))
    return found


def tags(letter: Letter) -> list[dict[str, str]]:
    """Pairs of a narrow alphabet; what does not fit it has it replaced. Each tag is a pair with "yes"."""
    ours = {name: letter.metadata[name] for name in ("delivery_id", "notification_id")}
    pairs = ours | {_clean(tag): "yes" for tag in letter.tags}
    for name, value in letter.metadata.items():
        if name not in ours:
            pairs[_clean(name)] = _clean(value)
    known = [(name, value) for name, value in pairs.items() if name and value]
    return [{"Name": name, "Value": value} for name, value in known[:_TAGS]]


def _clean(text: str) -> str:
    return _NOT_IN_TAGS.sub("_", text)[:_TAG]
