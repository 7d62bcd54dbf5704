"""The play: the other sides and Tidings are started, notifications travel, and all of it is judged."""

import asyncio
import base64
import contextlib
import secrets
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console

from examples.demo import show, vendors
from examples.demo.installation import (
    DemoError,
    Installation,
    OtherSides,
    free_port,
    own_directory,
)
from examples.demo.scenes import USER, Journey, Scene, scenes
from examples.demo.verdict import Arrived, mistakes, status_mistakes
from examples.mail_server import MailServer
from examples.verify_webhook import Receiver
from tidings.cli import template_folder, template_paths
from tidings.sandbox.running import Running, running

_TEMPLATES = Path(__file__).parents[1] / "templates"
_PATIENCE = 20.0  # seconds for all deliveries to end


class HookReceiver(Receiver):
    """/busy answers 503 to the first call of each event, /closed answers 404. bodies: as they came."""

    def __init__(self, secret: str) -> None:
        super().__init__(0, secret)
        self.calls: list[tuple[str, str, int]] = []
        self._seen: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def status(self, path: str, message_id: str) -> int:
        status = 204
        if path == "/closed":
            status = 404
        elif path == "/busy" and message_id not in self._seen:
            status = 503
        self._seen.add(message_id)
        self.calls.append((message_id, path, status))
        return status


async def play(console: Console, data: Path | None, *, keep: bool, mails: MailServer) -> None:
    """Raises DemoError when anything is not as it should be. keep: go on until interrupted."""
    began = asyncio.get_running_loop().time()
    with own_directory(data) as directory:
        async with contextlib.AsyncExitStack() as stack:
            port = free_port()
            await stack.enter_async_context(mails.running())
            hooks = await stack.enter_async_context(_receiving())
            sandbox = await stack.enter_async_context(running(vendors.options(port)))
            accounts = vendors.settings(sandbox)
            sides = OtherSides(mails.port, hooks.url, hooks.secret, accounts)
            installation = Installation(directory, sides, port)
            with console.status("Starting Tidings with a PostgreSQL of its own …"):
                await stack.enter_async_context(installation.running())
            show.started(console, installation.url, mails.port, hooks.url)
            await _perform(console, installation, mails, hooks, began)
            await _perform_with_vendors(console, installation, sandbox)
            show.end(console, asyncio.get_running_loop().time() - began)
            if keep:
                show.keeping(console, installation, sandbox.place.url)
                await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _receiving() -> AsyncIterator[HookReceiver]:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    receiver = HookReceiver(secret)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        await asyncio.to_thread(receiver.shutdown)
        receiver.server_close()


async def _perform(
    console: Console,
    installation: Installation,
    mails: MailServer,
    hooks: HookReceiver,
    began: float,
) -> None:
    for folder in template_paths.find([_TEMPLATES]).templates:
        template = template_folder.read(folder)
        await installation.store(template.id, template.document())
    journeys = [await _send(installation, scene) for scene in scenes(hooks.url)]
    await _follow(console, installation, journeys, began)
    feed = await installation.call("GET", f"/users/{USER}/inbox")
    arrived = Arrived(mails.mails, hooks.events, feed)
    show.story(console, journeys, arrived, hooks.calls)
    wrong = mistakes(journeys, arrived)
    if wrong:
        what = "\n  ".join(["Not everything came as it should:", *wrong])
        raise DemoError(installation.with_log(what))
    show.summary(console, journeys)


async def _perform_with_vendors(
    console: Console, installation: Installation, sandbox: Running
) -> None:
    """The same by way of every vendor, with the sandbox in their place."""
    travels = vendors.travels(sandbox)
    for travel in travels:
        await installation.store(travel.template_id, travel.template)
    journeys = [await _send(installation, travel.scene) for travel in travels]
    await _follow(console, installation, journeys)
    show.vendors(console, vendors.taken(sandbox, travels))
    wrong = [*status_mistakes(journeys), *vendors.mistakes(sandbox, travels)]
    if wrong:
        what = "\n  ".join(["Not everything went through the vendors as it should:", *wrong])
        raise DemoError(installation.with_log(what))
    show.summary(console, journeys)


async def _send(installation: Installation, scene: Scene) -> Journey:
    answer = await installation.call("POST", "/notifications/send", scene.request)
    journey = Journey(scene, answer["notification_id"])
    if scene.cancelled:
        await installation.call("POST", f"/notifications/{journey.notification_id}/cancel")
    return journey


async def _follow(
    console: Console,
    installation: Installation,
    journeys: Sequence[Journey],
    began: float | None = None,
) -> None:
    """Ask for every status until all have ended; the table shows them meanwhile. began: when everything did."""
    loop = asyncio.get_running_loop()
    first = began
    with show.Travelling(console, journeys) as travelling, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while not all(journey.ended for journey in journeys):
                for journey in journeys:
                    if not journey.ended:
                        path = f"/notifications/{journey.notification_id}/status"
                        journey.status = await installation.call("GET", path)
                if first is not None and journeys[0].ended:
                    travelling.first_after(loop.time() - first)
                    first = None
                travelling.update()
                await asyncio.sleep(0.05)
