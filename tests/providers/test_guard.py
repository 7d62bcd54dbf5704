"""The outbound guard: what may be called, and that nothing else is."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.certificates import HostAuthority
from tests.providers.http_server import Connection, HttpStandIn, refusing_port
from tidings.domain.outcomes import Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.guard import (
    Address,
    Allowed,
    Guard,
    forbidden,
    plain,
    read_allowed,
    system_lookup,
)
from tidings.providers.guarded import STALE, TTL, GuardedHttp
from tidings.providers.http import Answer, Failure, Request
from tidings.settings import SettingsError


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


HOST = "hooks.example"
LOOPBACK = "127.0.0.1"


class Names:
    """A name service: what each name leads to may change at any time. asked: all questions."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = {"hooks.example": [LOOPBACK], **addresses}
        self.asked: list[str] = []
        self.held = asyncio.Event()
        self.held.set()
        self.broken = False

    async def lookup(self, host: str) -> list[Address]:
        self.asked.append(host)
        await self.held.wait()
        if self.broken or host not in self.addresses:
            raise OSError("no such name")
        return [ipaddress.ip_address(address) for address in self.addresses[host]]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def guarded(
    names: Names | None = None,
    *,
    allow: Sequence[str] = (),
    clock: Clock | None = None,
    hosts: int = 500,
    trust: Sequence[bytes] = (),
    lookup_timeout: float = 3.0,
) -> AsyncIterator[GuardedHttp]:
    guard = Guard(
        read_allowed(allow), lookup=(names or Names()).lookup, lookup_timeout=lookup_timeout
    )
    client = GuardedHttp(guard, connect_timeout=2, clock=clock or Clock(), hosts=hosts, trust=trust)
    try:
        yield client
    finally:
        await client.close()


async def post(client: GuardedHttp, url: str, timeout: float = 5.0) -> Answer | Failure:
    return await client.send(Request("POST", url, {}, b"{}", timeout))


FORBIDDEN = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:1:2::3",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2002:808:808::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1",
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:200::1", "2003::1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden_address(address: str) -> None:
    assert forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address: str) -> None:
    assert forbidden(ipaddress.ip_address(address)) is None


@given(st.ip_addresses())
def test_never_laxer_than_the_standard_library(address: Address) -> None:
    """Python's own reading of the IANA registries, an independent oracle, calls public what we do."""
    if forbidden(address) is None:
        assert plain(address).is_global
        assert not plain(address).is_multicast


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
        "127.0.0.1.", "①②⑦.⓪.⓪.①", "%31%32%37.0.0.1", "0", "0.0.0.0", "[::1]", "[::]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
        "[64:ff9b::127.0.0.1]",
    ],
)  # fmt: skip
async def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    async with HttpStandIn() as server, guarded() as client:
        answer = await post(client, f"http://{host}:{server.port}/")
        assert isinstance(answer, Permanent)
        assert answer.reason is Reason.ADDRESS_FORBIDDEN
        assert server.connections == 0


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost."])
async def test_name_of_a_loopback_address(name: str) -> None:
    names = Names(**{"localhost": [LOOPBACK], "localhost.": ["::1"]})
    async with HttpStandIn() as server, guarded(names) as client:
        answer = await post(client, f"http://{name}:{server.port}/")
        assert answer == Permanent(Reason.ADDRESS_FORBIDDEN, detail="loopback address")
        assert server.connections == 0


@pytest.mark.anyio
async def test_one_forbidden_address_among_public_ones() -> None:
    names = Names(**{HOST: ["8.8.8.8", "10.0.0.1"]})
    async with guarded(names) as client:
        answer = await post(client, f"http://{HOST}/")
    assert answer == Permanent(Reason.ADDRESS_FORBIDDEN, detail="private address")


@pytest.mark.anyio
@pytest.mark.parametrize("allow", ["127.0.0.0/8", "127.0.0.1", HOST, "HOOKS.example."])
async def test_allowed_by_the_operator(allow: str) -> None:
    async with HttpStandIn() as server, guarded(allow=[allow]) as client:
        answer = await post(client, server.url(host=HOST))
        assert isinstance(answer, Answer)
        assert server.received[0].headers["host"] == f"{HOST}:{server.port}"


@pytest.mark.anyio
async def test_allowed_literal_address() -> None:
    async with HttpStandIn() as server, guarded(allow=["127.0.0.1"]) as client:
        for _ in range(3):
            assert isinstance(await post(client, server.url()), Answer)
        assert server.connections == 1


@pytest.mark.anyio
async def test_allowed_name_allows_no_other_name() -> None:
    names = Names(**{"other.example": [LOOPBACK]})
    async with guarded(names, allow=[HOST]) as client:
        answer = await post(client, "http://other.example/")
    assert answer == Permanent(Reason.ADDRESS_FORBIDDEN, detail="loopback address")


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://user@h.example/", "http://u:p@h.example/", "http://:p@h/"])
async def test_url_with_credentials(url: str) -> None:
    names = Names()
    async with guarded(names) as client:
        answer = await post(client, url)
    assert answer == Permanent(Reason.ADDRESS_INVALID, detail="URL with credentials")
    assert names.asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/"])
async def test_other_schemes(url: str) -> None:
    async with guarded() as client:
        answer = await post(client, url)
    assert isinstance(answer, Permanent)


@pytest.mark.anyio
async def test_redirect_into_the_network_is_not_followed() -> None:
    async with HttpStandIn() as inside:

        async def redirect(connection: Connection) -> None:
            await connection.read()
            await connection.answer(302, b"", Location=inside.url())

        async with HttpStandIn(redirect) as outside, guarded(allow=[HOST]) as client:
            answer = await post(client, outside.url(host=HOST))
        assert isinstance(answer, Answer)
        assert answer.status == 302
        assert inside.connections == 0


@pytest.mark.anyio
async def test_connects_to_what_was_checked_whatever_the_system_says() -> None:
    """The name does not exist outside of the test's name service."""
    async with HttpStandIn() as server, guarded(allow=["127.0.0.1"]) as client:
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
        assert isinstance(await post(client, server.url(host=HOST.upper())), Answer)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["hooks.example.", "under_score.example", "xn--mller-kva.example"])
async def test_pin_holds_for_odd_names(host: str) -> None:
    names = Names(**{host: [LOOPBACK]})
    async with HttpStandIn() as server, guarded(names, allow=["127.0.0.1"]) as client:
        assert isinstance(await post(client, server.url(host=host)), Answer)


@pytest.mark.anyio
async def test_rebinding_to_a_private_address_is_refused_at_the_next_check() -> None:
    names, clock = Names(), Clock()
    async with (
        HttpStandIn() as server,
        HttpStandIn(host="127.0.0.2") as inside,
        guarded(names, allow=["127.0.0.1"], clock=clock) as client,
    ):
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
        names.addresses[HOST] = ["127.0.0.2"]
        # Checked a moment ago: the call goes to the address that was checked.
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
        clock.now += TTL + 1
        answer = await post(client, inside.url(host=HOST))
        assert answer == Permanent(Reason.ADDRESS_FORBIDDEN, detail="loopback address")
        # What was checked before does not come back, not even when the name service fails.
        names.broken = True
        answer = await post(client, server.url(host=HOST))
        assert answer == Transient(Reason.CONNECTION_FAILED, detail="host not found")
        assert (len(server.received), inside.connections) == (2, 0)


@pytest.mark.anyio
async def test_name_that_moved_is_followed_at_the_next_check() -> None:
    names, clock = Names(), Clock()
    async with (
        HttpStandIn() as old,
        guarded(names, allow=["127.0.0.0/8"], clock=clock) as client,
    ):
        assert isinstance(await post(client, old.url(host=HOST)), Answer)
        names.addresses[HOST] = ["127.0.0.3"]
        clock.now += TTL + 1
        answer = await post(client, old.url(host=HOST))
        # Nobody listens at the new address.
        assert answer == Transient(Reason.CONNECTION_FAILED)
        assert len(old.received) == 1


@pytest.mark.anyio
async def test_one_look_up_serves_all_calls() -> None:
    names = Names()
    names.held.clear()
    async with HttpStandIn() as server, guarded(names, allow=[HOST]) as client:
        calls = [asyncio.create_task(post(client, server.url(host=HOST))) for _ in range(20)]
        while not names.asked:
            await asyncio.sleep(0)
        calls[0].cancel()  # one who gives up does not take the others with it
        names.held.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(answer, Answer) for answer in answers) == 19
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
    assert names.asked == [HOST]


@pytest.mark.anyio
async def test_name_that_cannot_be_looked_up() -> None:
    async with guarded() as client:
        answer = await post(client, "http://nobody.example/")
    assert answer == Transient(Reason.CONNECTION_FAILED, detail="host not found")


@pytest.mark.anyio
async def test_name_without_addresses() -> None:
    async with guarded(Names(**{HOST: []})) as client:
        answer = await post(client, f"http://{HOST}/")
    assert answer == Transient(Reason.CONNECTION_FAILED, detail="host not found")


@pytest.mark.anyio
@pytest.mark.parametrize(("lookup_timeout", "timeout"), [(0.05, 5.0), (5.0, 0.05)])
async def test_look_up_that_hangs(lookup_timeout: float, timeout: float) -> None:
    names = Names()
    names.held.clear()
    async with guarded(names, lookup_timeout=lookup_timeout) as client:
        answer = await post(client, f"http://{HOST}/", timeout)
        assert answer == Transient(Reason.CONNECTION_FAILED, detail="host lookup timed out")


@pytest.mark.anyio
async def test_name_service_out_of_order() -> None:
    """What was checked stays in use for a while: the pinned address is as safe as before."""
    names, clock = Names(), Clock()
    async with (
        HttpStandIn() as server,
        guarded(names, allow=[HOST], clock=clock) as client,
    ):
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
        names.broken = True
        clock.now += TTL + 1
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
        clock.now += STALE
        answer = await post(client, server.url(host=HOST))
        assert answer == Transient(Reason.CONNECTION_FAILED, detail="host not found")


@pytest.mark.anyio
async def test_next_address_after_one_that_does_not_answer() -> None:
    names = Names(**{HOST: ["127.0.0.2", LOOPBACK]})
    async with HttpStandIn() as server, guarded(names, allow=[HOST]) as client:
        url = server.url(host=HOST)
        assert await post(client, url) == Transient(Reason.CONNECTION_FAILED)
        for _ in range(3):
            assert isinstance(await post(client, url), Answer)
    assert names.asked == [HOST, HOST]


@pytest.mark.anyio
async def test_hosts_beyond_the_bound_give_way() -> None:
    hosts = [f"h{number}.example" for number in range(4)]
    names = Names(**{host: [LOOPBACK] for host in hosts})
    async with (
        HttpStandIn() as server,
        guarded(names, allow=["127.0.0.1"], hosts=2) as client,
    ):
        for host in [*hosts, *hosts]:
            assert isinstance(await post(client, server.url(host=host)), Answer)
    assert names.asked == [*hosts, *hosts]


@pytest.mark.anyio
async def test_certificate_is_checked_against_the_name_not_the_address(tmp_path: Path) -> None:
    authority = HostAuthority(tmp_path)
    names = Names(**{"other.example": [LOOPBACK]})
    async with (
        HttpStandIn(tls=authority.server(HOST)) as server,
        guarded(names, allow=["127.0.0.1"], trust=[authority.pem]) as client,
    ):
        assert isinstance(await post(client, server.url(host=HOST)), Answer)
        answer = await post(client, server.url(host="other.example"))
        assert answer == Transient(Reason.TLS_FAILED)
        assert len(server.received) == 1


@pytest.mark.anyio
async def test_nobody_listens() -> None:
    with refusing_port() as port:
        async with guarded(allow=["127.0.0.1"]) as client:
            for host in (LOOPBACK, HOST):
                answer = await post(client, f"http://{host}:{port}/")
                assert answer == Transient(Reason.CONNECTION_FAILED)


@pytest.mark.anyio
async def test_close_ends_what_is_under_way() -> None:
    names, reached = Names(**{"slow.example": [LOOPBACK]}), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read()
        reached.set()
        await connection.hang()

    async with HttpStandIn(script) as server, guarded(names, allow=["127.0.0.1"]) as client:
        calls = [asyncio.create_task(post(client, server.url(host=HOST)))]
        await reached.wait()
        names.held.clear()
        calls.append(asyncio.create_task(post(client, server.url(host="slow.example"))))
        while len(names.asked) < 2:
            await asyncio.sleep(0)
        await client.close()
        assert await asyncio.gather(*calls) == [
            Unknown(Reason.CONNECTION_LOST, detail="stopped by Tidings"),
            Transient(Reason.CONNECTION_FAILED, detail="host lookup timed out"),
        ]


@pytest.mark.anyio
async def test_system_lookup() -> None:
    assert ipaddress.ip_address(LOOPBACK) in await system_lookup("localhost")
    for host in ("nobody.invalid", "a" * 64 + ".example", "a..b"):
        with pytest.raises(socket.gaierror):
            await system_lookup(host)


def test_read_allowed() -> None:
    read = read_allowed(["10.1.0.0/16", " 192.168.1.5", "fd00::/8", "Müller.example", "svc_1"])
    assert read == Allowed(
        (
            ipaddress.ip_network("10.1.0.0/16"),
            ipaddress.ip_network("192.168.1.5/32"),
            ipaddress.ip_network("fd00::/8"),
        ),
        frozenset({"xn--mller-kva.example", "svc_1"}),
    )


@pytest.mark.parametrize(
    "entry",
    ["", "10.1.2.3/16", "10.0.0.0/33", "256.1.1.1", "10.1.2", "*.example", "a b", "h:80", "http://h",
     "u@h", "h/", "-", "fd00::/200"],
)  # fmt: skip
def test_wrong_allowed(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"outbound\.allow"):
        read_allowed(["10.0.0.0/8", entry])


@given(st.text(max_size=40))
def test_allowed_takes_any_text(entry: str) -> None:
    """Read or refused, never another error."""
    try:
        read = read_allowed([entry])
    except SettingsError:
        return
    assert len(read.networks) + len(read.hosts) == 1
