"""HTTP as bytes, for what no client library would send."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.system import System


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(system: System, request: bytes) -> RawAnswer:
    """Send these bytes and read the answer until the connection is closed."""
    target = urlsplit(system.url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(20):
            received = await reader.read()
    finally:
        writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return RawAnswer(int(first.split()[1]), headers, body)


def request_bytes(
    method: str, path: str, key: str, body: bytes = b"", headers: tuple[str, ...] = ()
) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
