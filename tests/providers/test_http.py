"""The HTTP client: what each thing that can go wrong is reported as."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.certificates import HostAuthority
from tests.providers.http2_server import Http2StandIn
from tests.providers.http_server import (
    Connection,
    HttpStandIn,
    Received,
    answer_ok,
    refusing_port,
    silent_port,
)
from tidings.domain.outcomes import Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.dialling import HttpSetupError
from tidings.providers.http import BODY_LIMIT, Answer, Failure, Request, retry_after
from tidings.providers.http_client import HttpClient

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-in-the-path"


async def post(
    client: HttpClient, url: str, body: bytes = b"{}", timeout: float = 5.0
) -> Answer | Failure:
    return await client.send(Request("POST", url, {"x-mark": "1"}, body, timeout))


async def post_to(script: object, *, body: bytes = b"{}", timeout: float = 5.0) -> Answer | Failure:
    """One call to a server that behaves like this."""
    client = HttpClient(connect_timeout=2)
    async with HttpStandIn(script) as server:  # type: ignore[arg-type] # tests give any coroutine
        try:
            return await post(client, server.url(f"/{SECRET}"), body, timeout)
        finally:
            await client.close()


async def test_answer() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.answer(201, b"made", X_Id="42")

    answer = await post_to(script)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.complete) == (201, b"made", True)
    assert answer.header("x-id") == "42"
    assert answer.header("x-none") == ""


async def test_request_as_received() -> None:
    client = HttpClient()
    async with HttpStandIn() as server:
        await post(client, server.url("/a/b?c=d"), b"body \x00\xff")
    await client.close()
    [request] = server.received
    assert (request.method, request.target, request.body) == ("POST", "/a/b?c=d", b"body \x00\xff")
    assert request.headers["x-mark"] == "1"
    assert request.headers["user-agent"].startswith("Tidings/")
    assert "accept-encoding" not in request.headers


async def test_connection_refused() -> None:
    client = HttpClient()
    with refusing_port() as port:
        answer = await post(client, f"http://127.0.0.1:{port}/")
    await client.close()
    assert answer == Transient(Reason.CONNECTION_FAILED)


async def test_unknown_host() -> None:
    client = HttpClient()
    answer = await post(client, "http://nobody.invalid/")
    await client.close()
    assert isinstance(answer, Transient)
    assert answer.reason is Reason.CONNECTION_FAILED


async def test_time_out_while_connecting_is_surely_unsent() -> None:
    client = HttpClient(connect_timeout=0.2)
    with silent_port() as port:
        answer = await post(client, f"http://127.0.0.1:{port}/")
    await client.close()
    assert answer == Transient(Reason.CONNECTION_FAILED, detail="time-out while connecting")


async def test_time_out_in_the_tls_handshake_is_surely_unsent() -> None:
    client = HttpClient(connect_timeout=0.2)
    async with HttpStandIn(Connection.hang) as server:
        answer = await post(client, f"https://127.0.0.1:{server.port}/")
    await client.close()
    assert answer == Transient(Reason.CONNECTION_FAILED, detail="time-out while connecting")


async def test_untrusted_certificate(tmp_path: Path) -> None:
    client = HttpClient()
    async with HttpStandIn(tls=HostAuthority(tmp_path).server("localhost")) as server:
        answer = await post(client, server.url(host="localhost"))
    await client.close()
    assert answer == Transient(Reason.TLS_FAILED)
    assert not server.received


async def test_certificate_of_another_host(tmp_path: Path) -> None:
    authority = HostAuthority(tmp_path)
    client = HttpClient(trust=[authority.pem])
    async with HttpStandIn(tls=authority.server("other.example")) as server:
        answer = await post(client, server.url(host="localhost"))
    await client.close()
    assert answer == Transient(Reason.TLS_FAILED)


async def test_trusted_certificate(tmp_path: Path) -> None:
    authority = HostAuthority(tmp_path)
    client = HttpClient(trust=[authority.pem])
    async with HttpStandIn(tls=authority.server("localhost")) as server:
        answer = await post(client, server.url(host="localhost"))
    await client.close()
    assert isinstance(answer, Answer)


async def test_https_to_a_server_without_tls() -> None:
    async def script(connection: Connection) -> None:
        await connection.read_some()
        await connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    client = HttpClient()
    async with HttpStandIn(script) as server:
        answer = await post(client, f"https://127.0.0.1:{server.port}/")
    await client.close()
    assert answer == Transient(Reason.TLS_FAILED)


async def test_handshake_cut() -> None:
    async def script(connection: Connection) -> None:
        await connection.read_some()
        connection.cut()

    client = HttpClient()
    async with HttpStandIn(script) as server:
        answer = await post(client, f"https://127.0.0.1:{server.port}/")
    await client.close()
    assert answer == Transient(Reason.CONNECTION_FAILED)


async def test_slow_answer() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.hang()

    assert await post_to(script, timeout=0.2) == Unknown(Reason.TIMED_OUT)


async def test_head_of_the_answer_comes_in_drips() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000:
            await connection.write(bytes([byte]))
            await asyncio.sleep(0.01)

    assert await post_to(script, timeout=0.3) == Unknown(Reason.TIMED_OUT)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("part", ["nothing", "some", "all"])
async def test_cut_before_an_answer(part: str, end: str) -> None:
    async def script(connection: Connection) -> None:
        if part == "some":
            await connection.read_some()
        elif part == "all":
            await connection.read()
        if end == "reset":
            connection.cut()

    answer = await post_to(script, body=b"x" * 5_000_000)
    # With "nothing", hyper may see the end before it has written a byte.
    allowed: set[Answer | Failure] = {Unknown(Reason.CONNECTION_LOST)}
    if part == "nothing":
        allowed.add(Transient(Reason.CONNECTION_FAILED))
    assert answer in allowed


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x00" * 100,
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["ssh", "zeros", "version", "status", "header", "lengths", "length", "huge-head"],
)
async def test_unreadable_answer(garbage: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(garbage)
        await connection.hang()

    assert await post_to(script) == Unknown(Reason.MALFORMED_ANSWER)


@pytest.mark.parametrize(
    "rest",
    [b"content-length: 10\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\nzz\r\n"],
    ids=["short", "chunks"],
)
async def test_status_survives_a_broken_body(rest: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(b"HTTP/1.1 202 Accepted\r\n" + rest)

    answer = await post_to(script)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.complete) == (202, False)


async def test_status_survives_a_body_that_takes_too_long() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\nabc")
        await connection.hang()

    answer = await post_to(script, timeout=0.3)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.complete) == (202, False)


async def test_endless_body_is_cut() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.write(b"x" * 65_536)

    client = HttpClient()
    async with HttpStandIn(script) as server:
        answer = await post(client, server.url())
        assert isinstance(answer, Answer)
        assert (len(answer.body), answer.complete) == (BODY_LIMIT, False)
        assert server.written < 32 * 2**20
    await client.close()


def _trailers(number: int) -> bytes:
    opening = b"" if number else b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    return opening + b"".join(b"x-%d-%d: %b\r\n" % (number, n, b"x" * 100) for n in range(500))


@pytest.mark.parametrize(
    ("piece", "answered"),
    [
        pytest.param(_trailers, True, id="trailers"),
        pytest.param(lambda _: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2_000, False, id="hints"),
    ],
)
async def test_what_is_endless_beside_the_body_is_cut(
    piece: Callable[[int], bytes], answered: bool
) -> None:
    """Who chooses a webhook's address also chooses what answers there."""

    async def script(connection: Connection) -> None:
        await connection.read()
        for number in count():
            await connection.write(piece(number))

    client = HttpClient()
    async with HttpStandIn(script) as server:
        answer = await post(client, server.url())
        assert server.written < 32 * 2**20
    await client.close()
    if answered:
        assert isinstance(answer, Answer)
        assert answer.status == 200
    else:
        assert answer == Unknown(Reason.MALFORMED_ANSWER)


async def test_compressed_body_is_left_alone() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.answer(200, b"not gzip", Content_Encoding="gzip")

    answer = await post_to(script)
    assert isinstance(answer, Answer)
    assert answer.body == b"not gzip"


async def test_redirect_is_an_answer() -> None:
    async with HttpStandIn() as other:

        async def script(connection: Connection) -> None:
            await connection.read()
            await connection.answer(307, b"", Location=other.url())

        answer = await post_to(script)
    assert isinstance(answer, Answer)
    assert answer.status == 307
    assert other.connections == 0


async def test_unreadable_header_is_missing() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(
            b"HTTP/1.1 503 No\r\nretry-after: \xff\xfe\r\ncontent-length: 0\r\n\r\n"
        )

    answer = await post_to(script)
    assert isinstance(answer, Answer)
    assert answer.header("retry-after") == ""
    assert retry_after(answer, 0.0) is None


async def test_many_calls_over_one_connection_of_http_2(tmp_path: Path) -> None:
    authority = HostAuthority(tmp_path)
    client = HttpClient(trust=[authority.pem])
    async with Http2StandIn(authority.server("localhost")) as server:
        url = f"https://localhost:{server.port}/hook"
        assert isinstance(await post(client, url), Answer)
        server.expected = 21  # the others are answered together, so they are all under way
        answers = await asyncio.gather(*(post(client, url, b"body %d" % n) for n in range(20)))
        assert [answer.status for answer in answers if isinstance(answer, Answer)] == [200] * 20
        assert {request.body for request in server.received[1:]} == {
            b"body %d" % n for n in range(20)
        }
        assert server.connections == 2  # the first found out what the server speaks
    await client.close()


async def test_calls_that_waited_for_the_first_go_side_by_side(tmp_path: Path) -> None:
    def says(_: Received) -> tuple[int, bytes]:
        server.expected = 21  # the first is answered at once, the others together
        return 200, b"ok"

    authority = HostAuthority(tmp_path)
    client = HttpClient(trust=[authority.pem])
    async with Http2StandIn(authority.server("localhost"), says=says) as server:
        url = f"https://localhost:{server.port}/hook"
        answers = await asyncio.gather(*(post(client, url) for _ in range(21)))
        assert [answer.status for answer in answers if isinstance(answer, Answer)] == [200] * 21
        assert server.connections == 2
    await client.close()


async def test_waiting_for_the_first_call_is_part_of_the_time() -> None:
    connected = asyncio.Event()

    async def silent(connection: Connection) -> None:
        connected.set()
        await connection.hang()

    client = HttpClient(connect_timeout=20)
    async with HttpStandIn(silent) as server:
        url = server.url().replace("http:", "https:")
        first = asyncio.create_task(post(client, url, timeout=20))
        await connected.wait()
        others = await asyncio.gather(*(post(client, url, timeout=0.1) for _ in range(3)))
        expected = Transient(Reason.CONNECTION_FAILED, detail="time-out while connecting")
        assert others == [expected] * 3
        assert (server.connections, first.done()) == (1, False)
        first.cancel()
        await asyncio.wait([first])
    await client.close()


@pytest.mark.parametrize("header", ["a\r\nb: c", "a\nb", "a\x00b", "é", "\ud800"])
async def test_header_that_cannot_be_sent(header: str) -> None:
    client = HttpClient()
    async with HttpStandIn() as server:
        request = Request("POST", server.url(), {"x-mark": header}, b"{}", 5.0)
        answer = await client.send(request)
        assert server.received == []
    await client.close()
    assert answer == Permanent(Reason.ADDRESS_INVALID, detail="not a request that can be made")


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
async def test_what_comes_before_the_answer_is_passed_over(status: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(b"HTTP/1.1 " + status + b"\r\nx-id: early\r\n\r\n")
        await connection.answer(201, b"made", X_Id="42")

    answer = await post_to(script)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.header("x-id")) == (201, b"made", "42")


async def test_answer_to_nothing_ends_the_connection() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * 2)
        await connection.hang()

    client = HttpClient()
    async with HttpStandIn(script) as server:
        for _ in range(3):
            assert isinstance(await post(client, server.url()), Answer)
        assert server.connections == 3
        assert len(server.received) == 3
    await client.close()


async def test_a_cancelled_call_leaves_its_answer_to_nobody() -> None:
    reached = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read()
        if not reached.is_set():
            reached.set()
            await connection.hang()
        await connection.answer(200, b"mine")

    client = HttpClient()
    async with HttpStandIn(script) as server:
        call = asyncio.create_task(post(client, server.url()))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        answer = await post(client, server.url())
        assert isinstance(answer, Answer)
        assert (answer.body, server.connections) == (b"mine", 2)
    await client.close()


@pytest.mark.parametrize(
    "url", ["", "hook", "//host/", "http://", "http://a b/", "http://h:99999/"]
)
async def test_not_a_url(url: str) -> None:
    client = HttpClient()
    assert await post(client, url) == Permanent(Reason.ADDRESS_INVALID, detail="not a URL")
    await client.close()


@pytest.mark.parametrize("url", ["ftp://host/", "file:///etc/passwd", "mailto:a@b.example"])
async def test_not_http(url: str) -> None:
    client = HttpClient()
    answer = await post(client, url)
    await client.close()
    assert answer == Permanent(Reason.ADDRESS_INVALID, detail="not an http or https URL")


async def test_connection_is_kept_and_used_again() -> None:
    client = HttpClient()
    async with HttpStandIn() as server:
        for _ in range(10):
            assert isinstance(await post(client, server.url()), Answer)
        assert server.connections == 1
    await client.close()


async def test_connection_is_kept_when_the_body_comes_after_the_head() -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.read()
            await connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            await asyncio.sleep(0.01)
            await connection.write(b"ok")

    client = HttpClient()
    async with HttpStandIn(script) as server:
        for _ in range(5):
            assert isinstance(await post(client, server.url()), Answer)
        assert server.connections == 1
    await client.close()


async def test_kept_connection_that_the_server_closed_is_replaced() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.answer()

    client = HttpClient()
    async with HttpStandIn(script) as server:
        for _ in range(3):
            assert isinstance(await post(client, server.url()), Answer)
            # The end of the connection reaches the client's own thread; nothing here can see when.
            await asyncio.sleep(0.3)
        assert len(server.received) == 3
    await client.close()


async def test_what_may_have_been_read_on_a_kept_connection_is_not_sent_again() -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.answer()
        await connection.read()
        connection.cut()

    client = HttpClient()
    async with HttpStandIn(script) as server:
        assert isinstance(await post(client, server.url()), Answer)
        assert await post(client, server.url()) == Unknown(Reason.CONNECTION_LOST)
        assert len(server.received) == 2
    await client.close()


async def test_call_in_flight_when_the_client_is_closed() -> None:
    reached = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read()
        reached.set()
        await connection.hang()

    client = HttpClient()
    async with HttpStandIn(script) as server:
        call = asyncio.create_task(post(client, server.url()))
        await reached.wait()
        await client.close()
        assert await call == Unknown(Reason.CONNECTION_LOST, detail="stopped by Tidings")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpStandIn() as proxy, HttpStandIn() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        client = HttpClient()
        assert isinstance(await post(client, server.url()), Answer)
        assert (proxy.connections, server.connections) == (0, 1)
        await client.close()


async def test_nothing_secret_in_reprs() -> None:
    request = Request("POST", f"https://h/{SECRET}", {"a": SECRET}, SECRET.encode(), 1)
    answer = await post_to(answer_ok)
    assert SECRET not in repr(request)
    assert "ok" not in repr(answer)


def test_machine_without_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with pytest.raises(HttpSetupError, match="ca-certificates"):
        HttpClient()


ANSWER = b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 4\r\n\r\ndone"
HEAD = ANSWER.index(b"done")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(ANSWER)), reset=st.booleans())
def test_answer_cut_anywhere(cut: int, reset: bool) -> None:
    """The status counts as soon as the head is complete; before, nothing is known."""

    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.write(ANSWER[:cut])
        if reset:
            connection.cut()

    answer = asyncio.run(post_to(script))
    if isinstance(answer, Answer):
        assert cut >= HEAD
        assert answer.complete == (answer.body == b"done")
    else:
        # A reset may overtake what was written before it.
        assert cut < HEAD or reset
        assert isinstance(answer, Unknown)


def throttled(value: str) -> Answer:
    return Answer(429, {"retry-after": value})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("7", 7), (" 120 ", 120), ("3601", 3600), ("9" * 5000, 3600)],
)
def test_retry_after_in_seconds(value: str, seconds: float) -> None:
    assert retry_after(throttled(value), time.time()) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90), (-90, 0), (100_000, 3600)])
def test_retry_after_as_a_date(ahead: int, seconds: float) -> None:
    now = 1_700_000_000
    assert retry_after(throttled(formatdate(now + ahead, usegmt=True)), now) == seconds


def test_retry_after_as_a_date_without_a_zone() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    value = format_datetime(moment).replace("+0000", "-0000")
    assert retry_after(throttled(value), moment.timestamp() - 5) == 5


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "٣", "Mon, 99 Foo 2026", "1e3", "inf"])
def test_unreadable_retry_after(value: str) -> None:
    assert retry_after(throttled(value), time.time()) is None


@given(st.text() | st.from_regex(r"\A[\w, :+-]{0,40}\Z"))
def test_retry_after_takes_anything(value: str) -> None:
    seconds = retry_after(throttled(value), 1_700_000_000)
    assert seconds is None or 0 <= seconds <= 3600
