"""A caller that does not give up: every request is repeated, with its idempotency key, until it is accepted."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from benchmarks import job

BULK_ITEMS = 50
_PAUSE = 0.05  # seconds after a failure


class Persistent:
    """accepted: notification ids by reference. answers: what the calls were answered, by status or failure."""

    def __init__(self, url: str, key: str, hook_url: str, templates: tuple[str, ...]) -> None:
        self.accepted: dict[str, str] = {}
        self.answers: Counter[str] = Counter()
        self.enough = asyncio.Event()
        self._url, self._key, self._hook_url = url, key, hook_url
        self._numbers = itertools.count()
        self._templates = itertools.cycle(templates)

    async def run(self, singles: int, bulks: int) -> None:
        """Ask with so many callers of each kind until `enough` is set."""
        client = ClientBuilder().no_proxy().build()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(client.close)
            async with asyncio.TaskGroup() as callers:
                for _ in range(singles):
                    callers.create_task(self._ask(client, 1))
                for _ in range(bulks):
                    callers.create_task(self._ask(client, BULK_ITEMS))

    async def _ask(self, client: Client, size: int) -> None:
        while not self.enough.is_set():
            items = list(itertools.islice(self._items(), size))
            while not self._took(items, await self._call(client, items)):
                await asyncio.sleep(_PAUSE)

    def _items(self) -> Iterator[dict[str, Any]]:
        for number in self._numbers:
            yield {
                "template_id": next(self._templates),
                "recipient": {"webhook_url": self._hook_url},
                "channel_preferences": ["webhook"],
                "data": job.data("storm", number, 0),
                "idempotency_key": job.reference("storm", number),
            }

    async def _call(self, client: Client, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The result of each item; nothing when there was no answer, or a refusal for now."""
        path, body = ("send", items[0]) if len(items) == 1 else ("bulk", {"notifications": items})
        request = client.post(f"{self._url}/notifications/{path}").bearer_auth(self._key)
        try:
            answer = await request.body_json(body).build().send()
            document = await answer.json() if answer.status == 202 else {}
        except PyreqwestError as error:
            self.answers[type(error).__name__] += 1
            return []
        self.answers[str(answer.status)] += 1
        results = document.get("results", [document])
        return results if answer.status == 202 else []

    def _took(self, items: list[dict[str, Any]], results: list[dict[str, Any]]) -> bool:
        for item, result in zip(items, results, strict=False):
            if "notification_id" in result:
                self.accepted[item["idempotency_key"]] = result["notification_id"]
        return all(item["idempotency_key"] in self.accepted for item in items)
