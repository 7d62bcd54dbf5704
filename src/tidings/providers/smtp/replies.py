"""What a server says: reading its replies (RFC 5321, 4.2) with their enhanced codes (RFC 3463)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_LINE = 4096
"""Bytes of one line at the most; RFC 5321, 4.5.3.1.5 allows 512, servers exceed it."""
MAX_LINES = 100
"""Lines of one reply at the most."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![^\s])")


class MalformedReply(Exception):
    """The server sent what is no SMTP reply; it may hold anything, so the message repeats nothing.

    complete: the proper replies that arrived together with it, before it.
    """

    def __init__(self, fault: str, complete: Sequence["Reply"] = ()) -> None:
        super().__init__(fault)
        self.complete = complete


@dataclass(slots=True)
class Reply:
    """code: three digits. text: the lines without their codes; may hold addresses, so never logged."""

    code: int
    text: str = field(default="", repr=False)

    @property
    def positive(self) -> bool:
        return self.code < 300

    @property
    def enhanced(self) -> str:
        """The enhanced code, e.g. 5.1.1; empty without one or where its class contradicts the code."""
        match = _ENHANCED.match(self.text)
        return match[0] if match and match[0][0] == str(self.code)[0] else ""

    @property
    def codes(self) -> str:
        """The codes alone, e.g. "550 5.1.1": what logs and details may show."""
        return f"{self.code} {self.enhanced}".rstrip()


class ReplyReader:
    """Makes replies of bytes as they arrive, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._code = b""

    @property
    def empty(self) -> bool:
        """Whether nothing of an unfinished reply is held."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that these bytes complete. Raises MalformedReply."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        replies: list[Reply] = []
        for line in lines:
            try:
                reply = self._take(line)
            except MalformedReply as error:
                error.complete = replies
                raise
            if reply is not None:
                replies.append(reply)
        if len(self._rest) > MAX_LINE:
            raise MalformedReply("line too long", replies)
        return replies

    def _take(self, line: bytes) -> Reply | None:
        match = _LINE.fullmatch(line.removesuffix(b"\r"))
        if match is None or (self._lines and match[1] != self._code):
            raise MalformedReply("not a reply")
        if len(line) > MAX_LINE or len(self._lines) >= MAX_LINES:
            raise MalformedReply("reply too long")
        self._code = match[1]
        self._lines.append(match[3] or b"")
        if match[2] == b"-":
            return None
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        self._lines = []
        return Reply(int(self._code), text)
