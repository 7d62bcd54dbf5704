"""What people see, and programs ask: what was sent, what became of it, and the failures on purpose."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tidings.sandbox import shown
from tidings.sandbox.desk import Desk
from tidings.sandbox.faults import NONE, FaultsError, changed
from tidings.sandbox.magic import MEANINGS, NUMBERS
from tidings.sandbox.messages import Happening, Sent
from tidings.sandbox.timelines import REPORTED

_MOST = 500
_PAUSE = 0.25  # seconds between two news of changes
_ALL = "all"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Whatever an email holds, it runs nothing, and is of no origin.
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src * data:; font-src * data:; base-uri 'none'; form-action 'none'"
)


class Pages:
    """settings: TOML that people paste. names: of all that can be sent through, with their titles."""

    def __init__(self, desk: Desk, vendors: dict[str, str]) -> None:
        self._desk = desk
        self._vendors = vendors
        self.settings = ""

    def app(self) -> Starlette:
        message = "/sandbox/messages/{number:int}"
        return Starlette(
            routes=[
                Route("/", _file("page.html", "text/html")),
                Route("/sandbox/page.js", _file("page.js", "text/javascript")),
                Route("/sandbox/page.css", _file("page.css", "text/css")),
                Route("/sandbox/messages", self._list, methods=["GET"]),
                Route("/sandbox/messages", self._clear, methods=["DELETE"]),
                Route(message, self._show),
                Route(f"{message}/html", self._html),
                Route(f"{message}/source", self._source),
                Route(f"{message}/files/{{position:int}}", self._download),
                Route(f"{message}/events", self._happen, methods=["POST"]),
                Route("/sandbox/faults", self._faults, methods=["GET"]),
                Route("/sandbox/faults", self._heal, methods=["DELETE"]),
                Route("/sandbox/faults/{vendor}", self._break, methods=["PUT"]),
                Route("/sandbox/about", self._about),
                Route("/sandbox/settings", self._show_settings),
                Route("/sandbox/changes", self._changes),
            ]
        )

    async def _list(self, request: Request) -> Response:
        """The newest first. Parameters: vendor, channel, to, limit."""
        asked = request.query_params
        limit = asked.get("limit", str(_MOST))
        most = min(int(limit), _MOST) if limit.isdecimal() else _MOST
        found = [
            shown.summary(sent) for _, sent in zip(range(most), self._matching(asked), strict=False)
        ]
        return _json({"messages": found, "taken": self._desk.kept.taken})

    def _matching(self, asked: Any) -> Iterator[Sent]:
        vendor, channel, to = (asked.get(name, "") for name in ("vendor", "channel", "to"))
        for sent in self._desk.kept.newest():
            if (
                vendor in ("", sent.vendor)
                and channel in ("", sent.channel)
                and (not to or to in sent.recipients)
            ):
                yield sent

    async def _clear(self, _: Request) -> Response:
        self._desk.kept.clear()
        return Response(status_code=204)

    async def _show(self, request: Request) -> Response:
        sent = self._found(request)
        return _missing() if sent is None else _json(shown.whole(sent))

    async def _html(self, request: Request) -> Response:
        sent = self._found(request)
        if sent is None:
            return _missing()
        return Response(
            shown.html(sent.content),
            media_type="text/html",
            headers={"Content-Security-Policy": _MAIL_POLICY, "Referrer-Policy": "no-referrer"},
        )

    async def _source(self, request: Request) -> Response:
        sent = self._found(request)
        if sent is None:
            return _missing()
        return Response(sent.source, media_type="text/plain; charset=utf-8", headers=_NO_SNIFF)

    async def _download(self, request: Request) -> Response:
        sent = self._found(request)
        position = request.path_params["position"]
        if sent is None or position >= len(sent.content.files):
            return _missing()
        file = sent.content.files[position]
        disposition = f"attachment; filename*=UTF-8''{quote(file.name)}"
        headers = {**_NO_SNIFF, "Content-Disposition": disposition}
        return Response(file.data, media_type="application/octet-stream", headers=headers)

    async def _happen(self, request: Request) -> Response:
        """Let something become of a message: {"happening": "opened", "recipient": …, "text": …}."""
        sent = self._found(request)
        if sent is None:
            return _missing()
        wanted = await _document(request)
        known = REPORTED.get(sent.channel, frozenset())
        if not isinstance(wanted, dict) or wanted.get("happening") not in known:
            return _problem(f"happening is one of {', '.join(sorted(known)) or 'none'}")
        recipient = wanted.get("recipient", sent.recipients[0])
        if recipient not in sent.recipients:
            return _problem("recipient is none of the message's")
        text = str(wanted.get("text", "STOP"))
        self._desk.teller.happen(sent, Happening(wanted["happening"]), recipient, text)
        return Response(status_code=204)

    async def _faults(self, _: Request) -> Response:
        return _json({name: asdict(self._desk.faults.get(name, NONE)) for name in self._vendors})

    async def _heal(self, _: Request) -> Response:
        self._desk.faults.clear()
        self._desk.kept.changed()
        return Response(status_code=204)

    async def _break(self, request: Request) -> Response:
        vendor = request.path_params["vendor"]
        if vendor not in (*self._vendors, _ALL):
            return _missing()
        names = list(self._vendors) if vendor == _ALL else [vendor]
        faults = self._desk.faults
        try:
            wanted = await _document(request)
            made = {name: changed(faults.get(name, NONE), wanted) for name in names}
        except FaultsError as error:
            return _problem(str(error))
        faults |= made
        self._desk.kept.changed()
        return await self._faults(request)

    async def _about(self, _: Request) -> Response:
        """What a page needs to know once."""
        place = self._desk.teller.place
        return _json(
            {
                "vendors": self._vendors,
                "fates": MEANINGS,
                "numbers": NUMBERS,
                "happenings": {name: sorted(known) for name, known in REPORTED.items()},
                "callbacks": place.callbacks,
                "url": place.url,
            }
        )

    async def _show_settings(self, _: Request) -> Response:
        return Response(self.settings, media_type="text/plain; charset=utf-8")

    async def _changes(self, request: Request) -> Response:
        """Server-sent events: that something has changed, not what."""

        async def news() -> AsyncIterator[bytes]:
            seen = -1
            while not await request.is_disconnected():
                seen = await self._desk.kept.until_changed(seen)
                yield b"data: %d\n\n" % self._desk.kept.taken
                await asyncio.sleep(_PAUSE)

        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(news(), media_type="text/event-stream", headers=headers)

    def _found(self, request: Request) -> Sent | None:
        return self._desk.kept.get(request.path_params["number"])


_NO_SNIFF = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}


def _file(name: str, media_type: str) -> Any:
    text = files("tidings.sandbox").joinpath("web", name).read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}

    async def serve(_: Request) -> Response:
        return Response(text, media_type=media_type, headers=headers)

    return serve


async def _document(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None


def _json(document: Any, status: int = 200) -> Response:
    return Response(
        orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS),
        status,
        media_type="application/json",
    )


def _problem(text: str) -> Response:
    return _json({"error": text}, 400)


def _missing() -> Response:
    return _json({"error": "not there, or no longer"}, 404)
