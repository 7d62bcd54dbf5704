"""multipart/form-data (RFC 7578), as browsers write it (HTML Standard, 4.10.21.8)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form."""

    filename: str = field(repr=False)
    content_type: str
    data: bytes = field(repr=False)


def form_data(fields: Iterable[tuple[str, str | File]]) -> tuple[str, bytes]:
    """The content type, which names the boundary, and the body."""
    parts = [_part(name, value) for name, value in fields]
    boundary = _boundary(parts)
    lines = [b"--%b\r\n%b\r\n" % (boundary, part) for part in parts]
    body = b"".join(lines) + b"--%b--\r\n" % boundary
    return f"multipart/form-data; boundary={boundary.decode('ascii')}", body


def _part(name: str, value: str | File) -> bytes:
    head = f'Content-Disposition: form-data; name="{_escaped(name)}"'
    if isinstance(value, str):
        return f"{head}\r\n\r\n".encode() + value.encode()
    content_type = "".join(one for one in value.content_type if one.isprintable())
    head += f'; filename="{_escaped(value.filename)}"\r\nContent-Type: {content_type}'
    return f"{head}\r\n\r\n".encode() + value.data


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _boundary(parts: Iterable[bytes]) -> bytes:
    """Out of all that it separates: whoever writes a part would have to find a fixed point of the hash
    to have it there."""
    digest = blake2b(digest_size=24)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest().encode("ascii")
