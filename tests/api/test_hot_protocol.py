"""POST /notifications/send on a raw connection: the short way and uvicorn's own answer alike, in order, on one socket."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Rows
from tests.api.problem import assert_problem_document
from tests.support.system import System
from tidings.api.problems import Code
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

SEND = {"template_id": "note", "recipient": {"email": "ann@example.com"}, "data": {"name": "Ann"}}
BODY = json.dumps(SEND).encode()
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:20], BODY[20:], b""))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Caller:
    """One connection to the API."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str

    def write(
        self,
        body: bytes = BODY,
        *headers: str,
        first: str = "POST /notifications/send HTTP/1.1",
        key: str | None = None,
    ) -> bytes:
        """A request. headers: also those of its body."""
        authorization = f"Authorization: Bearer {key or self.key}"
        lines = [first, "Host: localhost", authorization, *(headers or (LENGTH,))]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def ask(self, *requests: bytes) -> list[Answer]:
        """All of them in one write; their answers."""
        self.writer.write(b"".join(requests))
        return [await self.answer() for _ in requests]

    async def answer(self) -> Answer:
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100"):
                return await self.answer()
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(first.split()[1]), headers, body)

    async def is_closed(self) -> bool:
        """By the server, with nothing more to read."""
        async with asyncio.timeout(20):
            return await self.reader.read() == b""


@contextlib.asynccontextmanager
async def calling(system: System) -> AsyncIterator[Caller]:
    target = urlsplit(system.url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    try:
        yield Caller(reader, writer, system.keys[Role.ADMIN])
    finally:
        writer.close()


def assert_accepted(answer: Answer) -> str:
    assert answer.status == 202, answer
    assert answer.headers["content-type"] == "application/json"
    identifier = json.loads(answer.body)["notification_id"]
    assert isinstance(identifier, str)
    return identifier


@pytest.mark.parametrize(
    ("body", "headers", "first"),
    [
        (CHUNKED, ("Transfer-Encoding: chunked",), "POST /notifications/send HTTP/1.1"),
        (BODY, (LENGTH, "Expect: 100-continue"), "POST /notifications/send HTTP/1.1"),
        (BODY, (LENGTH,), "POST /notifications/send? HTTP/1.1"),
        (BODY, (LENGTH,), "POST /notifications/%73end HTTP/1.1"),
        (BODY + b" " * 80_000, (f"Content-Length: {len(BODY) + 80_000}",), "POST /notifications/send HTTP/1.1"),
        (BODY, (f"CONTENT-LENGTH:   {len(BODY)}  ",), "POST /notifications/send HTTP/1.1"),
    ],
    ids=["chunked", "expect", "query", "escaped", "larger", "spelled otherwise"],
)  # fmt: skip
async def test_the_answer_is_the_same_however_it_is_asked(
    quiet: System, body: bytes, headers: tuple[str, ...], first: str
) -> None:
    async with calling(quiet) as caller:
        [ordinary] = await caller.ask(caller.write())
        [other] = await caller.ask(caller.write(body, *headers, first=first))
        [again] = await caller.ask(caller.write())
    assert len({assert_accepted(one) for one in (ordinary, other, again)}) == 3
    assert ordinary.headers.keys() == other.headers.keys() == again.headers.keys()


async def test_another_method_is_told_which_there_are(quiet: System) -> None:
    async with calling(quiet) as caller:
        [refused] = await caller.ask(
            caller.write(b"", "X: y", first="GET /notifications/send HTTP/1.1")
        )
    assert (refused.status, refused.headers["allow"]) == (405, "post")


async def test_requests_in_one_write_are_answered_in_order(quiet: System) -> None:
    async with calling(quiet) as caller:
        health = caller.write(b"", "X: y", first="GET /health/live HTTP/1.1")
        answers = await caller.ask(
            caller.write(), caller.write(), health, caller.write(b"{", "Content-Length: 1"), caller.write()
        )  # fmt: skip
        assert [one.status for one in answers] == [202, 202, 200, 400, 202]
        [after] = await caller.ask(caller.write())
    assert len({assert_accepted(one) for one in (*answers[:2], answers[4], after)}) == 4


async def test_a_refusal_leaves_the_connection_open(quiet: System, rows: Rows) -> None:
    before = await rows()
    async with calling(quiet) as caller:
        [stranger] = await caller.ask(caller.write(key="tk_nobody"))
        [broken] = await caller.ask(caller.write(b"[", "Content-Length: 1"))
        assert await rows() == before
        [accepted] = await caller.ask(caller.write())
    assert_accepted(accepted)
    assert stranger.headers["www-authenticate"] == "bearer"
    for answer, code in ((stranger, Code.UNAUTHORIZED), (broken, Code.MALFORMED_JSON)):
        assert (answer.status, answer.headers["content-type"]) == (
            code.status,
            "application/problem+json",
        )
        assert_problem_document(json.loads(answer.body), code)


@pytest.mark.parametrize("first", ["HTTP/1.1", "HTTP/1.0"])
async def test_who_wants_the_connection_closed(quiet: System, first: str) -> None:
    async with calling(quiet) as caller:
        [answer] = await caller.ask(
            caller.write(
                BODY, LENGTH, "Connection: close", first=f"POST /notifications/send {first}"
            )
        )
        assert_accepted(answer)
        assert answer.headers["connection"] == "close"
        assert await caller.is_closed()


async def test_who_leaves_before_the_answer_troubles_nobody(quiet: System) -> None:
    for _ in range(20):
        async with calling(quiet) as caller:
            caller.writer.write(caller.write())
            await caller.writer.drain()
            caller.writer.transport.abort()
        async with calling(quiet) as caller:
            caller.writer.write(caller.write()[:-5])
            await caller.writer.drain()
            caller.writer.transport.abort()
    async with calling(quiet) as caller:
        [answer] = await caller.ask(caller.write())
    assert_accepted(answer)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.sets(st.integers(1, 300), max_size=12))
async def test_it_may_come_in_any_pieces(quiet: System, cuts: set[int]) -> None:
    async with calling(quiet) as caller:
        request = caller.write()
        places = [0, *sorted(cut for cut in cuts if cut < len(request)), len(request)]
        for start, end in itertools.pairwise(places):
            caller.writer.write(request[start:end])
            await caller.writer.drain()
            await asyncio.sleep(0)
        assert_accepted(await caller.answer())
