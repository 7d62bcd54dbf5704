"""The form that Mailgun takes: of one email, or of several with what differs as recipient variables.

https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/batch-sending
"""

from collections.abc import Hashable, Iterator, Sequence

import orjson

from tidings.providers.formdata import File
from tidings.providers.letters import Letter, shown
from tidings.providers.mailbox import Mailbox

Fields = Iterator[tuple[str, str | File]]

TAGS = 10
"""Tags of an email, at the most; each has up to 128 ASCII characters."""

_OPTIONS = 12_000
"""Bytes of the application's metadata; all options, headers and variables together may have 16 KB."""
_OURS = ("delivery_id", "notification_id")
_LONGEST = 64 * 1024


def fields(letters: Sequence[Letter], sender: Mailbox, *, test_mode: bool) -> Fields:
    """All of them as one form; several: as `group_of` says that they may be."""
    first = letters[0]
    yield "from", shown(first.sender or sender)
    for letter in letters:
        yield "to", letter.to.address
    for name, mailboxes in (("cc", first.cc), ("bcc", first.bcc)):
        for mailbox in mailboxes:
            yield name, shown(mailbox)
    if len(letters) == 1:
        yield from _texts(first)
    else:
        yield from ((name, f"%recipient.{_variable(name)}%") for name, _ in _texts(first))
        yield "recipient-variables", _variables(letters)
    if first.reply_to is not None:
        yield "h:Reply-To", shown(first.reply_to)
    for tag in first.tags[:TAGS]:
        yield "o:tag", _ascii(tag)[:128]
    if test_mode:
        yield "o:testmode", "yes"
    yield from _files(first)


def group_of(letter: Letter) -> Hashable:
    """What must be equal within one form; None for what goes alone.

    Files and further recipients would go to all. Nobody says what becomes of a text that holds the
    sign of a variable, when it is the value of one.
    """
    content = letter.content
    texts = [value for _, value in _texts(letter)]
    alone = (
        bool(content.attachments or letter.cc or letter.bcc)
        or any("%recipient" in text for text in texts)
        or sum(map(len, texts)) > _LONGEST
    )
    if alone:
        return None
    by = letter.reply_to
    names = tuple(name for name, _ in _texts(letter))
    reply_to = None if by is None else (by.name, by.address)
    return names, letter.sender, reply_to, letter.tags


def _texts(letter: Letter) -> Iterator[tuple[str, str]]:
    """The fields that are texts, and may differ from recipient to recipient."""
    yield "subject", letter.content.subject
    yield "text", letter.content.text
    if letter.content.html is not None:
        yield "html", letter.content.html
    for name, value in letter.headers.items():
        yield f"h:{name}", value
    for name, value in _metadata(letter):
        yield f"v:{name}", value


def _metadata(letter: Letter) -> Iterator[tuple[str, str]]:
    metadata = letter.metadata
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    names = _OURS if size > _OPTIONS else tuple(metadata)
    return ((name, metadata[name]) for name in names)


def _variables(letters: Sequence[Letter]) -> str:
    values = {
        letter.to.address: {_variable(name): value for name, value in _texts(letter)}
        for letter in letters
    }
    return orjson.dumps(values).decode()


def _variable(field: str) -> str:
    """The name of the variable that stands for a field: letters, digits and _ are safe in one."""
    return "".join(one if one.isalnum() and one.isascii() else f"_{ord(one):x}_" for one in field)


def _files(letter: Letter) -> Fields:
    """A file that the HTML shows is named by its content id, for Mailgun makes the id of the name."""
    for one in letter.content.attachments:
        if one.content_id is None:
            yield "attachment", File(one.filename, one.content_type, one.data)
        else:
            yield "inline", File(one.content_id, one.content_type, one.data)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
