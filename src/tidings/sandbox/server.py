"""The sandbox over HTTP: the vendors under their names, and everything else for people."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidings.sandbox.calls import Call, Confirmed, Reply, Route, Taken
from tidings.sandbox.desk import PATIENCE, Desk, Refused
from tidings.sandbox.faults import Mishap
from tidings.sandbox.magic import Fate
from tidings.sandbox.vendor import Vendor


class VendorsApp:
    """The vendors as one ASGI application. others: serves what is no vendor's."""

    def __init__(self, vendors: Sequence[Vendor], desk: Desk, others: ASGIApp) -> None:
        self._vendors: Mapping[str, Vendor] = {vendor.name: vendor for vendor in vendors}
        self._desk = desk
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"][1:].partition("/")[0] if scope["type"] == "http" else ""
        vendor = self._vendors.get(name)
        if vendor is None:
            await self._others(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        reply = await self.answer(vendor, _call(scope, body, len(name) + 1))
        if isinstance(reply, Reply):
            await _send(send, reply)
        elif reply is Mishap.CUT:
            scope["transport"].abort()
        else:
            await _hold(receive)

    async def answer(self, vendor: Vendor, call: Call) -> Reply | Mishap | None:
        """The answer; None for none at all."""
        mishap = await self._desk.mishap(vendor.name)
        if mishap is Mishap.ERROR:
            return vendor.failed
        if mishap is Mishap.THROTTLED:
            return vendor.throttled
        if mishap is Mishap.CUT:
            return mishap
        reply = self._handle(vendor, call)
        return Mishap.CUT if mishap is Mishap.LOST else reply

    def _handle(self, vendor: Vendor, call: Call) -> Reply | None:
        result = handle(vendor, call)
        if isinstance(result, Confirmed):
            self._desk.teller.confirm(vendor.name)
            return result.reply
        if isinstance(result, Reply):
            return result
        try:
            self._desk.take(result.sent)
        except Refused as refused:
            refusals = {Fate.THROTTLE: vendor.throttled, Fate.ERROR: vendor.failed}
            return refusals.get(refused.fate)
        return result.reply


def handle(vendor: Vendor, call: Call) -> Reply | Taken | Confirmed:
    """What the vendor says to a call."""
    for route in vendor.routes:
        if route.method != call.method:
            continue
        found = route.pattern.fullmatch(call.path)
        if found is not None:
            return _handled(vendor, route, call.at(found.groupdict()))
    return vendor.unknown


def _handled(vendor: Vendor, route: Route, call: Call) -> Reply | Taken | Confirmed:
    try:
        refused = None if route.open else vendor.check(call)
        return refused or route.handler(call)
    except (AttributeError, KeyError, TypeError, ValueError):
        # A list where an object belongs, and the like: each vendor says no more than that it is wrong.
        return vendor.malformed


def _call(scope: Scope, body: bytes, prefix: int) -> Call:
    return Call(
        scope["method"],
        scope["path"][prefix:] or "/",
        scope["raw_path"].decode("ascii"),
        scope["query_string"].decode("latin-1"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body,
    )


async def _body(receive: Receive) -> bytes | None:
    """None when the other side is gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, reply: Reply) -> None:
    length = (b"content-length", str(len(reply.body)).encode())
    headers = [*reply.headers, length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _hold(receive: Receive) -> None:
    """Until the other side gives up."""
    try:
        async with asyncio.timeout(PATIENCE):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return


class CuttableProtocol(HttpToolsProtocol):
    """Gives the application the connection as well, to cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a key that ASGI has not
        scope["transport"] = self.transport
