"""Apprise: which addresses are called, and what its answers and lines mean."""

import json
import logging
from typing import Any

import pytest
from apprise.manager_plugins import NotificationManager

from tests.providers.http_server import HttpStandIn, refusing_port
from tests.providers.vendors import Reply, account, answering, chat, no_store
from tidings.domain.chat import service_of
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Provider
from tidings.domain.reasons import Reason
from tidings.providers.apprise.manifest import HOSTED
from tidings.providers.apprise.verdicts import outcome_of
from tidings.providers.catalogue import CATALOGUE, Ports
from tidings.providers.http_client import HttpClient
from tidings.settings import SettingsError

pytestmark = pytest.mark.anyio


def made(**values: Any) -> Provider:
    http = HttpClient()
    _, mine = account("apprise", "", 5.0, **values)
    _, make = CATALOGUE["apprise"]
    return make(mine, Ports(http, http, no_store, no_store))


async def sent(provider: Provider, address: str) -> Outcome:
    try:
        [outcome] = await provider.send([chat(address, body="hello")])
    finally:
        await provider.close()
    return outcome


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1:{port}/",
        "mmost://127.0.0.1:{port}/abcdefgh",
        "mmost://localhost:{port}/abcdefgh",
        "xml://127.0.0.1:{port}/?verify=no",
        "gchat+json://127.0.0.1:{port}/",
        "jsons://[::1]:{port}/",
        "syslog://",
        "file:///etc/passwd",
        "dbus://",
        "http://127.0.0.1:{port}/",
        "nonsense",
        "json://[::1",
    ],
)
async def test_recipients_cannot_make_it_call_other_hosts(address: str) -> None:
    async with HttpStandIn(answering(lambda _: Reply(200, "ok"))) as server:
        port = server.url("").rpartition(":")[2]
        own = f"mmost://127.0.0.1:{port}/theaccountsown"
        outcome = await sent(made(url=own, hosts=("chat.example.com",)), address.format(port=port))
        assert isinstance(outcome, Permanent)
        assert server.received == []


async def test_a_schema_that_names_a_host_needs_the_host_to_be_allowed() -> None:
    async with HttpStandIn(answering(lambda _: Reply(200, "ok"))) as server:
        port = server.url("").rpartition(":")[2]
        address = f"mmost://127.0.0.1:{port}/abcdefgh"
        forbidden = await sent(made(schemas=("mmost",)), address)
        assert forbidden == Permanent(Reason.ADDRESS_FORBIDDEN, detail="a host that is not allowed")
        assert server.received == []
        assert await sent(made(hosts=("127.0.0.1",)), address) == Accepted()
        assert len(server.received) == 1


async def test_the_accounts_own_url_may_be_anything() -> None:
    async with HttpStandIn(answering(lambda _: Reply(200, "ok"))) as server:
        own = f"json://{server.url('').removeprefix('http://')}/path"
        assert await sent(made(url=own), own) == Accepted()
        [received] = server.received
        assert json.loads(received.body)["message"] == "hello"


async def test_redirects_are_not_followed() -> None:
    async with (
        HttpStandIn(answering(lambda _: Reply(200, "ok"))) as elsewhere,
        HttpStandIn(
            answering(lambda _: Reply(302, "", {"Location": elsewhere.url("/")}))
        ) as server,
    ):
        own = f"json://{server.url('').removeprefix('http://')}/?redirect=yes"
        outcome = await sent(made(url=own), own)
        assert isinstance(outcome, Transient)
        assert outcome.reason is Reason.ACCOUNT_REFUSED
        assert elsewhere.received == []


async def test_no_line_of_its_log_gets_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with refusing_port() as port:
        own = f"json://127.0.0.1:{port}/secret-path"
        outcome = await sent(made(url=own), own)
    assert outcome == Transient(Reason.CONNECTION_FAILED)
    assert "secret-path" not in caplog.text


async def test_a_url_of_no_service_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match=r"accounts\.mine\.url") as told:
        made(url="nosuch://secret-token")
    assert "secret-token" not in str(told.value)


def test_what_is_allowed_by_default_goes_to_one_host() -> None:
    manager = NotificationManager()  # type: ignore[no-untyped-call]  # as the library has it
    manager.load_modules()  # type: ignore[no-untyped-call]  # as the library has it
    for schema in HOSTED:
        plugin = manager[schema]
        assert not [one for one in plugin.templates if "{host}" in one], schema
        urls = [
            value
            for name, value in vars(plugin).items()
            if "url" in name and isinstance(value, str) and "{" not in value.split("/")[2]
        ]
        assert urls, schema
        assert all(url.startswith("https://") for url in urls), schema
        assert service_of(f"{schema}://x/y") == "other"


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        (["Failed to send X: error=429."], Transient, Reason.PROVIDER_THROTTLED),
        (["Failed to send X: Not Found, error=404."], Permanent, Reason.ADDRESS_INVALID),
        (["error=410"], Permanent, Reason.ENDPOINT_GONE),
        (["error=403."], Transient, Reason.CREDENTIALS_REFUSED),
        (["error=413."], Permanent, Reason.MESSAGE_TOO_LARGE),
        (["error=504."], Unknown, Reason.TIMED_OUT),
        (["Socket Exception: Read timed out."], Unknown, Reason.TIMED_OUT),
        (["Socket Exception: SSLError(certificate verify failed)"], Transient, Reason.TLS_FAILED),
        (["Socket Exception: NameResolutionError"], Transient, Reason.CONNECTION_FAILED),
        (["Socket Exception: Connection aborted."], Unknown, Reason.CONNECTION_LOST),
        (["A Connection error occurred sending X"], Unknown, Reason.CONNECTION_LOST),
        ([], Unknown, Reason.PROVIDER_FAILED),
    ],
)
def test_what_it_says_when_it_did_not_work(said: list[str], kind: type, reason: Reason) -> None:
    outcome = outcome_of(False, said)
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
