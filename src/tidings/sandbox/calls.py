"""A call to a vendor, and how it is answered."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import orjson

from tidings.sandbox.messages import Sent


@dataclass(frozen=True)
class Call:
    """A request. path: after the vendor's prefix. headers: by lower-case name. parts: of the path, by the
    route that matched."""

    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    parts: Mapping[str, str] = field(default_factory=dict)

    def at(self, parts: Mapping[str, str]) -> "Call":
        """The same call, at the route that matched."""
        return replace(self, parts=parts) if parts else self

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    @cached_property
    def document(self) -> Any:
        """The JSON of the body; None where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @cached_property
    def form(self) -> Mapping[str, str]:
        """Of a form that is URL-encoded: the last value of each name."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """The vendor takes these messages, and answers so, if nothing comes in between."""

    reply: Reply
    sent: Sequence[Sent]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The one that is called back confirms that it wants to be."""

    reply: Reply


Handler: TypeAlias = Callable[[Call], Reply | Taken | Confirmed]


@dataclass(frozen=True, slots=True)
class Route:
    """open: for those without credentials, too."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    open: bool = False


def route(method: str, pattern: str, handler: Handler, *, open: bool = False) -> Route:
    """pattern: a regular expression for the path, its named groups are the call's parts."""
    return Route(method, re.compile(pattern), handler, open)


_JSON = (b"content-type", b"application/json")


def json_reply(status: int, document: Any, **headers: str) -> Reply:
    """headers: with _ for -."""
    extra = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return Reply(status, orjson.dumps(document), [_JSON, *extra])


def text_reply(status: int, text: str, content_type: str = "text/plain") -> Reply:
    return Reply(status, text.encode(), [(b"content-type", content_type.encode())])
