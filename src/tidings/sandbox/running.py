"""The sandbox as a whole: wired, listening, and stopped in good order."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass, replace

import uvicorn

from tidings.sandbox import http2, smtp
from tidings.sandbox.desk import Desk
from tidings.sandbox.messages import Kept
from tidings.sandbox.pages import Pages
from tidings.sandbox.server import CuttableProtocol, VendorsApp
from tidings.sandbox.settings_text import settings_text
from tidings.sandbox.telling import Teller
from tidings.sandbox.vendor import Place, Vendor
from tidings.sandbox.vendors.apns import APNS
from tidings.sandbox.vendors.catalogue import VENDORS
from tidings.sandbox.visitors import Visitors

HOST, PORT, SMTP_PORT, APNS_PORT = "127.0.0.1", 8025, 1025, 2197
CALLBACKS = "http://127.0.0.1:8000"
KEEP = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """Ports: 0 for any that is free. callbacks: where Tidings' API is; empty for nowhere. keep: messages. pace:
    factor of all the waits before something becomes of a message."""

    host: str = HOST
    port: int = PORT
    smtp_port: int = SMTP_PORT
    apns_port: int = APNS_PORT
    callbacks: str = CALLBACKS
    keep: int = KEEP
    pace: float = 1.0
    vendors: Sequence[Vendor] = VENDORS

    @property
    def place(self) -> Place:
        """As told, before anything listens."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        ports = {smtp.NAME: self.smtp_port, APNS.name: self.apns_port}
        return Place(f"http://{shown}:{self.port}", self.callbacks.rstrip("/"), ports)


@dataclass(frozen=True, slots=True)
class Running:
    place: Place
    desk: Desk
    settings: str


class _Server(uvicorn.Server):
    """Is stopped by whoever started it, and takes no signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """Listening from here to the end. Raises OSError for a port that is taken."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((options.host, options.port))
        listening.listen(2048)  # so that whoever calls from now on is served
        options = replace(options, port=listening.getsockname()[1])
        async with contextlib.AsyncExitStack() as stack:
            yield await _started(stack, options, listening)


async def _started(
    stack: contextlib.AsyncExitStack, options: Options, listening: socket.socket
) -> Running:
    """Everything, on the ports that it gets; stopped when the stack is left."""
    titles = {vendor.name: vendor.title for vendor in options.vendors}
    kept = Kept(options.keep)
    teller = Teller(options.vendors, kept, time.time, options.pace)
    desk = Desk(kept, teller)
    pages = Pages(desk, {**titles, smtp.NAME: "SMTP"})
    app = VendorsApp(options.vendors, desk, Visitors(pages.app(), options.host))
    smtp_port = await stack.enter_async_context(smtp.serving(desk, options.host, options.smtp_port))
    apns_port = await stack.enter_async_context(
        http2.serving(APNS, app, options.host, options.apns_port)
    )
    options = replace(options, smtp_port=smtp_port, apns_port=apns_port)
    settings = settings_text(options.vendors, options.place)
    teller.place, pages.settings = options.place, settings
    await stack.enter_async_context(_serving(_server(app), teller, listening))
    return Running(options.place, desk, settings)


@contextlib.asynccontextmanager
async def _serving(
    server: _Server, teller: Teller, listening: socket.socket
) -> AsyncIterator[None]:
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    telling = asyncio.create_task(teller.run())
    try:
        yield
    finally:
        server.should_exit = True
        telling.cancel()
        ended = await asyncio.gather(serving, telling, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, Exception):
            raise problem


def _server(app: VendorsApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=CuttableProtocol,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
    )
