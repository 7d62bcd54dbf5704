"""Makes happen what has to become of messages, and calls back with it."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from tidings.sandbox.magic import Fate
from tidings.sandbox.messages import Event, Happening, Kept, Sent
from tidings.sandbox.timelines import timeline
from tidings.sandbox.vendor import Callback, Place, Reported, Tells, Vendor

_AT_ONCE = 1000  # events told together, by vendors that do so
_IN_FLIGHT = 50
_WAITING = 100_000  # events of a vendor that nobody takes; then the oldest are dropped
_TRIES = (0.5, 1.0, 2.0, 4.0, 8.0)


class Teller:
    """clock: seconds since the epoch. pace: factor of every wait. place: known before the first message."""

    def __init__(
        self,
        vendors: Iterable[Vendor],
        kept: Kept,
        clock: Callable[[], float],
        pace: float = 1.0,
    ) -> None:
        self._tells: Mapping[str, Tells] = {
            vendor.name: vendor.tells for vendor in vendors if vendor.tells is not None
        }
        self.place = Place("")
        self._kept = kept
        self._clock = clock
        self._pace = pace
        self._due: defaultdict[str, deque[Reported]] = defaultdict(lambda: deque(maxlen=_WAITING))
        self._wake: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._confirmed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def plan(self, sent: Sent) -> None:
        """Everything that is going to become of a message that was just taken."""
        loop = asyncio.get_running_loop()
        fates = sent.fates or (Fate.DELIVER,) * len(sent.recipients)
        for recipient, fate in zip(sent.recipients, fates, strict=True):
            for seconds, happening in timeline(sent.channel, fate):
                loop.call_later(seconds * self._pace, self.happen, sent, happening, recipient)

    def happen(self, sent: Sent, happening: Happening, recipient: str, text: str = "STOP") -> None:
        """Now: it is noted, and told. text: of a reply."""
        event = Event(
            happening,
            recipient,
            self._clock(),
            str(uuid4()),
            text if happening is Happening.REPLIED else "",
        )
        sent.events.append(event)
        self._kept.changed()
        if sent.vendor in self._tells and (self.place.callbacks or sent.callback):
            self._due[sent.vendor].append((sent, event))
            self._wake[sent.vendor].set()

    def confirm(self, vendor: str) -> None:
        """From now on the vendor's callbacks are wanted."""
        self._confirmed[vendor].set()

    async def run(self) -> None:
        """Call back until cancelled."""
        builder = ClientBuilder().no_proxy().timeout(timedelta(seconds=10))
        async with builder.build() as client, asyncio.TaskGroup() as tasks:
            for name, tells in self._tells.items():
                tasks.create_task(self._run(client, name, tells))

    async def _run(self, client: Client, name: str, tells: Tells) -> None:
        opened = tells.opening is None
        slots = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake[name].wait()
                self._wake[name].clear()
                if not opened and tells.opening is not None:
                    await self._call(client, tells.opening(self.place, self._clock()))
                    await self._confirmed[name].wait()
                    opened = True
                while batch := self._batch(name):
                    for callback in tells.callbacks(batch, self.place, self._clock()):
                        await slots.acquire()
                        task = tasks.create_task(self._call(client, callback))
                        task.add_done_callback(lambda _: slots.release())

    def _batch(self, name: str) -> Sequence[Reported]:
        due = self._due[name]
        return [due.popleft() for _ in range(min(len(due), _AT_ONCE))]

    async def _call(self, client: Client, callback: Callback) -> None:
        """Again after a while when nobody is there, or has no time; the answer is noted at its events."""
        for wait in (*_TRIES, None):
            answer, again = await _post(client, callback)
            for event in callback.events:
                event.answer = answer
            self._kept.changed()
            if not again or wait is None:
                return
            await asyncio.sleep(wait * self._pace)


async def _post(client: Client, callback: Callback) -> tuple[str, bool]:
    """What to say of it, and whether it is worth another try."""
    try:
        request = client.post(callback.url).body_bytes(callback.body)
        response = await request.headers(dict(callback.headers)).build().send()
        with contextlib.suppress(PyreqwestError):
            await response.bytes()
    except (PyreqwestError, ValueError) as error:
        return type(error).__name__, True
    return f"HTTP {response.status}", response.status == 429 or response.status >= 500
