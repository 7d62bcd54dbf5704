"""What the files of an email may be: their names, types and content ids."""

import mimetypes
import re

# What is itself a message or made of parts cannot be sent in Base64 (RFC 2046, 5.1 and 5.2.1).
_MEDIA_TYPE = re.compile(
    r"(?!message/|multipart/)[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9!#$&^_.+-]{1,100}"
)
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_UNKNOWN = "application/octet-stream"

LONGEST_NAME = 255


def check_media_type(given: str) -> str:
    """A type without parameters. Raises ValueError for what no mail can hold."""
    if not _MEDIA_TYPE.fullmatch(given.lower()):
        raise ValueError("an attachment's type is not one like application/pdf")
    return given


def check_filename(given: str) -> str:
    """Raises ValueError for what no mail can hold."""
    if not given or not given.isprintable() or len(given) > LONGEST_NAME:
        raise ValueError(f"an attachment's file name is 1 to {LONGEST_NAME} printable characters")
    return given


def check_content_id(given: str) -> str:
    """Raises ValueError for what HTML could not name."""
    if not _CONTENT_ID.fullmatch(given):
        raise ValueError("an attachment's content id is not valid")
    return given


def media_type_of(filename: str) -> str:
    """By the ending of its name, as Python itself knows it: the same on every machine."""
    guessed, encoding = mimetypes.MimeTypes().guess_type(filename)
    # Of what is compressed the type is told of what is in it.
    return _UNKNOWN if guessed is None or encoding is not None else guessed
