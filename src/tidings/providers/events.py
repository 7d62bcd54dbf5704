"""Reading what vendors call back: JSON and forms, which may hold anything at any place.

What is missing, or of another type than the vendor documents, reads as empty: one odd field loses no event.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import orjson

from tidings.domain.callbacks import RawCallback, UnreadableCallback

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/:-]{0,63}")
_MILLISECONDS = 100_000_000_000
"""From here on a number of seconds since the epoch would be of the year 5138: it is one of milliseconds."""
_FIELDS = 1_000
_TEXT = 10_000


def json_of(raw: RawCallback) -> Any:
    """Raises UnreadableCallback."""
    try:
        return orjson.loads(raw.body)
    except orjson.JSONDecodeError:
        raise UnreadableCallback("not JSON") from None


def json_object(raw: RawCallback) -> dict[str, Any]:
    """Raises UnreadableCallback."""
    found = json_of(raw)
    if not isinstance(found, dict):
        raise UnreadableCallback("not a JSON object")
    return found


def content_type(raw: RawCallback) -> str:
    return raw.headers.get("content-type", "").partition(";")[0].strip().lower()


def query_of(raw: RawCallback) -> list[tuple[str, str]]:
    """The parameters of the URL. Raises UnreadableCallback."""
    try:
        return _pairs(urlsplit(raw.url).query)
    except ValueError:  # a host that is none
        raise UnreadableCallback("not a URL") from None


def form_of(raw: RawCallback) -> list[tuple[str, str]]:
    """The fields of a form of either content type, without its files. Raises UnreadableCallback."""
    if content_type(raw) == "multipart/form-data":
        return _parts(raw)
    return _pairs(raw.body.decode("utf-8", "replace"))


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=_FIELDS)
    except ValueError:
        raise UnreadableCallback("too many fields") from None


def _parts(raw: RawCallback) -> list[tuple[str, str]]:
    head = f"Content-Type: {raw.headers.get('content-type', '')}\r\n\r\n"
    try:
        form = BytesParser(policy=HTTP).parsebytes(head.encode("latin-1", "replace") + raw.body)
        parts = form.iter_parts() if form.is_multipart() else ()
        return [(_name(part), _payload(part)) for part in parts if part.get_filename() is None]
    except Exception as error:  # the parser's own faults on headers of malice are of many kinds
        raise UnreadableCallback("not a form") from error


def _name(part: MIMEPart) -> str:
    return str(part.get_param("name", "", header="content-disposition"))


def _payload(part: MIMEPart) -> str:
    data = part.get_payload(decode=True)
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


def at(found: Any, *path: str | int) -> Any:
    """What is there, through objects and lists; None where nothing is."""
    for step in path:
        if isinstance(step, str) and isinstance(found, dict):
            found = found.get(step)
        elif isinstance(step, int) and isinstance(found, list) and len(found) > step:
            found = found[step]
        else:
            return None
    return found


def text(found: Any, *path: str | int) -> str:
    """A text or whole number that is there, as PostgreSQL can hold it; else empty."""
    value = at(found, *path)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:_TEXT].replace("\0", "").encode("utf-8", "replace").decode()


def code(found: Any, *path: str | int) -> str:
    """A vendor's code; empty for what could be more than one, such as a text with an address in it."""
    value = text(found, *path)
    return value if _CODE.fullmatch(value) else ""


def objects(found: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of a list that is there."""
    value = at(found, *path)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def moment(value: Any, otherwise: float) -> datetime:
    """Of seconds or milliseconds since the epoch, or RFC 3339; UTC where it names no zone.

    otherwise: seconds since the epoch, for what is none of these.
    """
    try:
        found = _moment(value)
    except (ValueError, TypeError, OverflowError, OSError):
        found = None
    if found is None or not 2000 <= found.year < 2200:
        return datetime.fromtimestamp(otherwise, UTC)
    return found


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,20}(?:\.[0-9]{1,9})?", value):
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    seconds = float(value) if isinstance(value, str | int | float) else math.nan
    if not math.isfinite(seconds) or isinstance(value, bool):
        return None
    return datetime.fromtimestamp(seconds / (1000 if seconds >= _MILLISECONDS else 1), UTC)


def uuid_of(found: str) -> UUID | None:
    """Our id, where it is one."""
    try:
        return UUID(found) if len(found) == 36 else None
    except ValueError:
        return None


def digest(*parts: object) -> str:
    """An id for an event that the vendor gives none: of all that tells it from others. 32 characters."""
    made = blake2b(digest_size=16)
    for part in parts:
        data = str(part).encode("utf-8", "replace")
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def first_values(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    """By name; of several values of a name the first."""
    return dict(reversed(pairs))
