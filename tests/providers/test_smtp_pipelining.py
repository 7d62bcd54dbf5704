"""Several messages over one connection, the next envelope behind the last content: whatever the server does, each
outcome is that message's own, and unknown only where the server may have taken it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.smtp_server import HOST, Odd, ScriptedServer, scripted_server
from tests.providers.test_smtp import account, anyio_backend, message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason
from tidings.providers.smtp.send import SmtpProvider

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio

NOT_FOUND = Permanent(Reason.MAILBOX_NOT_FOUND, suppress=True, detail="550 5.1.1 at RCPT")


async def send(port: int, count: int, timeout: float = 20) -> Sequence[Outcome]:
    """Messages to user0, user1 and so on, over as few connections as there can be."""
    provider = SmtpProvider(account(port, connections=1, timeout=timeout))
    outcomes = await provider.send([message(f"user{n}@example.com") for n in range(count)])
    await provider.close()
    return outcomes


async def outcomes_of(
    count: int, timeout: float = 20, **script: Any
) -> tuple[Sequence[Outcome], ScriptedServer]:
    async with scripted_server(**script) as server:
        return await send(server.port, count, timeout), server


def kinds(outcomes: Sequence[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


def taken_by(server: ScriptedServer) -> list[int]:
    """The numbers of the messages whose content the server got, in their order."""
    return [int(content.split(b"To: user")[1].split(b"@")[0]) for content in server.contents]


async def test_a_refused_recipient_leaves_the_others_and_the_connection_alone() -> None:
    outcomes, server = await outcomes_of(
        3,
        RCPT=["250 ok", "550 5.1.1 unknown", "250 ok"],
        DATA=["354 go", "503 5.5.1 no recipient", "354 go"],
    )
    assert kinds(outcomes) == [Accepted, Permanent, Accepted]
    assert outcomes[1] == NOT_FOUND
    assert taken_by(server) == [0, 2]
    assert server.connections == 1


async def test_data_granted_without_a_recipient_ends_the_connection_and_sends_nothing() -> None:
    outcomes, server = await outcomes_of(3, RCPT=["250 ok", "550 5.1.1 unknown", "250 ok"])
    assert outcomes[1] == NOT_FOUND
    assert kinds(outcomes) == [Accepted, Permanent, Accepted]
    assert taken_by(server) == [0, 2]
    assert server.connections == 2


async def test_a_connection_lost_after_a_content_leaves_only_that_message_unknown() -> None:
    outcomes, server = await outcomes_of(3, CONTENT=[Odd.CUT, "250 ok"])
    assert outcomes[0] == Unknown(
        Reason.CONNECTION_LOST, detail="connection lost after the content"
    )
    assert kinds(outcomes[1:]) == [Accepted, Accepted]
    assert taken_by(server) == [0, 1, 2]


@pytest.mark.parametrize("end", [Odd.CUT, "421 4.3.2 closing"], ids=["cut", "421"])
async def test_a_connection_lost_between_two_messages_doubles_none(end: Any) -> None:
    outcomes, server = await outcomes_of(3, MAIL=["250 ok", end, "250 ok"])
    assert kinds(outcomes) == [Accepted] * 3
    assert taken_by(server) == [0, 1, 2]
    assert server.connections == 2


async def test_a_connection_lost_within_the_next_envelope_leaves_that_message_untaken() -> None:
    outcomes, server = await outcomes_of(3, RCPT=["250 ok", Odd.CUT, "250 ok"])
    assert kinds(outcomes) == [Accepted, Transient, Accepted]
    assert taken_by(server) == [0, 2]


async def test_a_refused_content_does_not_harm_the_next_message() -> None:
    outcomes, server = await outcomes_of(3, CONTENT=["554 5.7.1 spam", "250 ok"])
    assert kinds(outcomes) == [Permanent, Accepted, Accepted]
    assert server.connections == 1


async def test_a_server_that_wants_a_reset_after_a_refusal_gets_a_new_connection() -> None:
    outcomes, server = await outcomes_of(
        3,
        CONTENT=["554 5.7.1 spam", "250 ok"],
        MAIL=["250 ok", "503 5.5.1 nested MAIL", "250 ok"],
    )
    assert kinds(outcomes) == [Permanent, Accepted, Accepted]
    assert taken_by(server) == [0, 1, 2]
    assert server.connections == 2


async def test_a_reply_too_many_is_never_taken_for_another_message() -> None:
    outcomes, server = await outcomes_of(3, CONTENT=["250 ok\r\n250 and again", "250 ok"])
    assert kinds(outcomes) == [Accepted, Transient, Accepted]
    assert taken_by(server) == [0, 2]


async def test_nonsense_behind_a_reply_does_not_undo_it() -> None:
    outcomes, server = await outcomes_of(2, CONTENT=["250 ok\r\nwhat?", "250 ok"])
    assert kinds(outcomes) == [Accepted, Accepted]
    assert taken_by(server) == [0, 1]


async def test_when_the_time_is_over_what_was_not_begun_was_not_sent() -> None:
    outcomes, server = await outcomes_of(3, 0.2, CONTENT=["250 ok", Odd.HANG])
    assert kinds(outcomes) == [Accepted, Unknown, Transient]
    assert taken_by(server) == [0, 1]


async def test_an_invalid_address_among_them_fails_alone() -> None:
    async with scripted_server() as server:
        provider = SmtpProvider(account(server.port, connections=1))
        outcomes = await provider.send(
            [message("user0@example.com"), message("nobody"), message("user2@example.com")]
        )
        await provider.close()
    assert kinds(outcomes) == [Accepted, Permanent, Accepted]
    assert taken_by(server) == [0, 2]


# --- a server that speaks in pieces ---------------------------------------------------------------

FATES = {
    "taken": ("250 ok", "354 go", "250 2.0.0 taken"),
    "no such user": ("550 5.1.1 unknown", "503 5.5.1 no recipient", ""),
    "spam": ("250 ok", "354 go", "554-5.7.1 looks\r\n554 5.7.1 like spam"),
}
EXPECTED = {"taken": Accepted, "no such user": Permanent, "spam": Permanent}


class PieceServer:
    """Meets each message with its fate, and says everything in pieces of the sizes given, over and over.

    late: answers a content only when the envelope behind it has arrived, where one must come.
    """

    def __init__(self, fates: Sequence[str], sizes: Sequence[int], *, late: bool = False) -> None:
        self._fates = fates
        self._sizes = sizes
        self._late = late
        self.taken: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces = self._pieces()

        async def say(text: str) -> None:
            data = f"{text}\r\n".encode()
            while data:
                size = next(pieces)
                writer.write(data[:size])
                data = data[size:]
                await writer.drain()
                await asyncio.sleep(0)

        await say("220 mail.example.com ESMTP")
        held = ""
        number = 0
        while True:
            line = (await reader.readuntil(b"\r\n")).decode()
            if held:
                await say(held)
                held = ""
            match line[:4]:
                case "EHLO":
                    await say("250-mail.example.com\r\n250 PIPELINING")
                case "RCPT":
                    number = int(line.split("user")[1].split("@")[0])
                    await say(FATES[self._fates[number]][0])
                case "DATA":
                    _, granted, answer = FATES[self._fates[number]]
                    await say(granted)
                    if answer:
                        await reader.readuntil(b"\r\n.\r\n")
                        self.taken.append(number)
                        if self._late and number + 1 < len(self._fates):
                            held = answer
                        else:
                            await say(answer)
                case _:
                    await say("250 ok")

    def _pieces(self) -> Iterator[int]:
        while True:
            yield from self._sizes


@contextlib.asynccontextmanager
async def piece_server(server: PieceServer) -> AsyncIterator[int]:
    listening = await asyncio.start_server(server.serve, HOST, 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def test_the_next_envelope_leaves_before_the_content_is_answered() -> None:
    server = PieceServer(["taken"] * 4, [1000], late=True)
    async with piece_server(server) as port:
        assert kinds(await send(port, 4)) == [Accepted] * 4
    assert server.taken == [0, 1, 2, 3]


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    fates=st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
async def test_replies_in_any_pieces_reach_the_message_they_are_about(
    fates: list[str], sizes: list[int]
) -> None:
    server = PieceServer(fates, sizes)
    async with piece_server(server) as port:
        outcomes = await send(port, len(fates))
    assert kinds(outcomes) == [EXPECTED[fate] for fate in fates]
    assert server.taken == [n for n, fate in enumerate(fates) if fate != "no such user"]
