"""An Apprise account before a stand-in for Mattermost, whose incoming webhooks say `ok`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from tests.providers.http_server import HttpStandIn, refusing_port
from tests.providers.vendors import (
    MARK,
    MISBEHAVING,
    SECRET,
    SHORT,
    Reply,
    account,
    answering,
    chat,
    ids,
    no_store,
)
from tidings.domain.messages import Message
from tidings.providers.catalogue import CATALOGUE, MANIFESTS, Ports
from tidings.providers.http_client import HttpClient
from tidings.testing.sending import Case, Stand

TOKEN = SECRET.replace("-", "")

REPLIES: Mapping[Case, Reply] = {
    Case.TAKES: Reply(200, "ok"),
    Case.REFUSES_FOR_NOW: Reply(503),
    Case.REFUSES_FOR_GOOD: Reply(400, {"id": "web.incoming_webhook.text.app_error"}),
    Case.REFUSES_CREDENTIALS: Reply(401),
}


class AppriseHarness:
    manifest = MANIFESTS["apprise"]
    secrets: Sequence[str] = (TOKEN, MARK)
    not_applicable: Mapping[Case, str] = {
        Case.THROTTLES: "Apprise does not tell for how long a service asks to wait",
        Case.UNREADABLE_ANSWER: "what a service's answer means is Apprise's to know",
        Case.HUGE_ANSWER: "Apprise reads answers whole; only hosts that the operator names are called",
    }

    def __init__(self) -> None:
        self._url = ""

    def message(self, number: int) -> Message:
        return chat(self._url, number)

    @asynccontextmanager
    async def stand(self, case: Case) -> AsyncIterator[Stand]:
        refused = Reply(400)
        server = HttpStandIn(
            answering(
                lambda received: (
                    refused if "4155550001" in received.body.decode() else REPLIES[Case.TAKES]
                )
            )
            if case is Case.REFUSES_ONE
            else answering(lambda _: REPLIES[case])
            if case in REPLIES
            else MISBEHAVING[case]
        )
        async with AsyncExitStack() as stack:
            if case is Case.UNREACHABLE:
                port = stack.enter_context(refusing_port())
            else:
                await stack.enter_async_context(server)
                port = int(server.url("").rpartition(":")[2])
            self._url = f"mmost://127.0.0.1:{port}/{TOKEN}"
            timeout = SHORT if case is Case.SLOW else 10.0
            _, mine = account("apprise", "", timeout, url=self._url)
            http = HttpClient()
            stack.push_async_callback(http.close)
            _, make = CATALOGUE["apprise"]
            provider = make(mine, Ports(http, http, no_store, no_store))
            stack.push_async_callback(provider.close)
            yield Stand(
                provider,
                taken=lambda: [one for received in server.received for one in ids(received)],
                answered=lambda: server.written,
            )
