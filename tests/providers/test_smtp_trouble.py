"""SMTP servers that refuse, break off, hang or talk nonsense: the outcome of each, and what follows."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.smtp_server import Answer, Odd, ScriptedServer, scripted_server
from tests.providers.test_smtp import account, anyio_backend, message, send_one
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.smtp.replies import MalformedReply, Reply, ReplyReader
from tidings.providers.smtp.send import SmtpProvider

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio

PIPELINING = ("PIPELINING",)
STAGES = ("MAIL", "RCPT", "DATA", "CONTENT")


async def outcome_of(timeout: float = 20, **script: Any) -> tuple[Outcome, ScriptedServer]:
    """What becomes of one message, over a fresh connection."""
    async with scripted_server(**script) as server:
        provider = SmtpProvider(account(server.port, timeout=timeout))
        outcome = await send_one(provider)
        await provider.close()
    return outcome, server


def not_found(detail: str) -> Permanent:
    return Permanent(Reason.MAILBOX_NOT_FOUND, suppress=True, detail=detail)


REFUSALS: list[tuple[str, str, Outcome]] = [
    ("RCPT", "550 5.1.1 <john.doe@example.com> unknown", not_found("550 5.1.1 at RCPT")),
    ("RCPT", "550 no such user here", not_found("550 at RCPT")),
    ("RCPT", "550-5.2.1 The account\r\n550 5.2.1 is disabled", not_found("550 5.2.1 at RCPT")),
    ("RCPT", "556 5.1.10 null MX", not_found("556 5.1.10 at RCPT")),
    ("RCPT", "551 5.1.6 moved", not_found("551 5.1.6 at RCPT")),
    # An enhanced code of another class than the reply's is none.
    ("RCPT", "550 2.1.5 odd", not_found("550 at RCPT")),
    ("CONTENT", "550 5.1.1 no such user", not_found("550 5.1.1 at content")),
    # What a wrong setting makes every address look like does not suppress.
    ("RCPT", "550 relay not permitted", Permanent(Reason.PROVIDER_REJECTED, detail="550 at RCPT")),
    (
        "RCPT",
        "550 5.7.1 unable to relay",
        Permanent(Reason.PROVIDER_REJECTED, detail="550 5.7.1 at RCPT"),
    ),
    (
        "RCPT",
        "554 5.7.1 access denied",
        Permanent(Reason.PROVIDER_REJECTED, detail="554 5.7.1 at RCPT"),
    ),
    ("RCPT", "501 5.1.3 bad", Permanent(Reason.ADDRESS_INVALID, detail="501 5.1.3 at RCPT")),
    ("RCPT", "553 not allowed", Permanent(Reason.ADDRESS_INVALID, detail="553 at RCPT")),
    ("RCPT", "553 5.6.7 no UTF-8", Permanent(Reason.ADDRESS_INVALID, detail="553 5.6.7 at RCPT")),
    ("RCPT", "552 5.2.2 full", Permanent(Reason.PROVIDER_REJECTED, detail="552 5.2.2 at RCPT")),
    ("MAIL", "552 5.3.4 too big", Permanent(Reason.MESSAGE_TOO_LARGE, detail="552 5.3.4 at MAIL")),
    ("CONTENT", "552 too big", Permanent(Reason.MESSAGE_TOO_LARGE, detail="552 at content")),
    (
        "CONTENT",
        "550 5.2.3 too long",
        Permanent(Reason.MESSAGE_TOO_LARGE, detail="550 5.2.3 at content"),
    ),
    (
        "CONTENT",
        "554 5.7.1 spam",
        Permanent(Reason.CONTENT_REJECTED, detail="554 5.7.1 at content"),
    ),
    ("CONTENT", "550 looks like spam", Permanent(Reason.CONTENT_REJECTED, detail="550 at content")),
    (
        "CONTENT",
        "552 5.7.0 blocked",
        Permanent(Reason.CONTENT_REJECTED, detail="552 5.7.0 at content"),
    ),
    ("DATA", "554 5.7.1 no", Permanent(Reason.CONTENT_REJECTED, detail="554 5.7.1 at DATA")),
    # At MAIL our own address is spoken of: the recipient is not to blame.
    ("MAIL", "550 5.1.1 unknown", Permanent(Reason.PROVIDER_REJECTED, detail="550 5.1.1 at MAIL")),
    ("MAIL", "553 5.7.1 not you", Permanent(Reason.PROVIDER_REJECTED, detail="553 5.7.1 at MAIL")),
    ("DATA", "503 5.5.1 sequence", Permanent(Reason.PROVIDER_REJECTED, detail="503 5.5.1 at DATA")),
    (
        "MAIL",
        "530 5.7.0 sign in",
        Transient(Reason.CREDENTIALS_REFUSED, detail="530 5.7.0 at MAIL"),
    ),
    (
        "RCPT",
        "450 4.7.1 greylisted",
        Transient(Reason.PROVIDER_THROTTLED, detail="450 4.7.1 at RCPT"),
    ),
    ("MAIL", "421 4.7.0 rate", Transient(Reason.PROVIDER_THROTTLED, detail="421 4.7.0 at MAIL")),
    (
        "RCPT",
        "452 4.5.3 too many",
        Transient(Reason.PROVIDER_THROTTLED, detail="452 4.5.3 at RCPT"),
    ),
    ("RCPT", "451 later", Transient(Reason.PROVIDER_UNAVAILABLE, detail="451 at RCPT")),
    ("CONTENT", "421 bye", Transient(Reason.PROVIDER_UNAVAILABLE, detail="421 at content")),
    (
        "CONTENT",
        "452 4.3.1 disk",
        Transient(Reason.PROVIDER_UNAVAILABLE, detail="452 4.3.1 at content"),
    ),
    ("CONNECT", "554 go away", Transient(Reason.PROVIDER_UNAVAILABLE, detail="554 at connect")),
    (
        "CONNECT",
        "421 4.7.0 slow",
        Transient(Reason.PROVIDER_THROTTLED, detail="421 4.7.0 at connect"),
    ),
    ("CONNECT", "hello", Transient(Reason.MALFORMED_ANSWER, detail="malformed reply at connect")),
]


@pytest.mark.parametrize("extensions", [PIPELINING, ("HELP",)], ids=["pipelined", "step by step"])
@pytest.mark.parametrize(("stage", "answer", "expected"), REFUSALS)
async def test_a_refusal_is_told_by_stage_and_codes(
    stage: str, answer: str, expected: Outcome, extensions: tuple[str, ...]
) -> None:
    script: dict[str, Any] = {stage: answer}
    outcome, server = await outcome_of(extensions=extensions, **script)
    assert outcome == expected
    assert len(server.contents) == (stage == "CONTENT")


@pytest.mark.parametrize("extensions", [PIPELINING, ("HELP",)], ids=["pipelined", "step by step"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("answer", "before", "after"),
    [
        (Odd.CUT, Reason.CONNECTION_FAILED, Reason.CONNECTION_LOST),
        (Odd.HANG, Reason.CONNECTION_FAILED, Reason.TIMED_OUT),
        ("what?", Reason.MALFORMED_ANSWER, Reason.MALFORMED_ANSWER),
        ("999 what?", Reason.MALFORMED_ANSWER, Reason.MALFORMED_ANSWER),
        ("334 go on", Reason.MALFORMED_ANSWER, Reason.MALFORMED_ANSWER),
        ("250-ok\r\n251 ok", Reason.MALFORMED_ANSWER, Reason.MALFORMED_ANSWER),
        ("250 " + "x" * 70_000, Reason.MALFORMED_ANSWER, Reason.MALFORMED_ANSWER),
    ],
    ids=["cut", "hang", "nonsense", "999", "334", "two codes", "endless"],
)
async def test_without_a_proper_reply_it_is_unknown_only_once_the_content_is_sent(
    stage: str, answer: Answer, before: Reason, after: Reason, extensions: tuple[str, ...]
) -> None:
    timeout = 0.1 if answer is Odd.HANG else 20
    outcome, server = await outcome_of(timeout, extensions=extensions, **{stage: answer})
    if stage == "CONTENT":
        assert isinstance(outcome, Unknown)
        assert outcome.reason is after
    else:
        assert isinstance(outcome, Transient)
        assert outcome.reason is before
        assert not server.contents
    assert server.connections == 1


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO"])
async def test_a_server_that_never_greets(stage: str) -> None:
    script: dict[str, Any] = {stage: Odd.HANG}
    async with scripted_server(**script) as server:
        provider = SmtpProvider(account(server.port, timeout=0.1))
        with pytest.raises(ProviderCheckError, match=r"did not answer within 0\.1 s"):
            await provider.check()
        assert await send_one(provider) == Transient(
            Reason.CONNECTION_FAILED, detail="timed out at connect"
        )
        await provider.close()


async def test_a_server_that_ends_the_connection_in_place_of_hello() -> None:
    outcome, _ = await outcome_of(EHLO=Odd.CUT)
    assert isinstance(outcome, Transient)
    assert outcome.reason is Reason.CONNECTION_FAILED


async def test_a_server_without_ehlo_is_told_helo() -> None:
    outcome, server = await outcome_of(EHLO="502 5.5.1 unknown")
    assert isinstance(outcome, Accepted)
    assert server.verbs()[:5] == ["EHLO", "HELO", "MAIL", "RCPT", "DATA"]


async def test_a_tls_handshake_that_breaks_off() -> None:
    async with scripted_server(extensions=("STARTTLS",), STARTTLS="220 go") as server:
        provider = SmtpProvider(account(server.port, security="starttls"))
        outcome = await send_one(provider)
        await provider.close()
    assert isinstance(outcome, Transient)
    assert outcome.reason is Reason.TLS_FAILED
    assert not server.contents


async def test_starttls_refused() -> None:
    async with scripted_server(extensions=("STARTTLS",), STARTTLS="454 4.7.0 later") as server:
        provider = SmtpProvider(account(server.port, security="starttls"))
        outcome = await send_one(provider)
        await provider.close()
    assert outcome == Transient(Reason.TLS_FAILED, detail="454 4.7.0 at STARTTLS")
    assert "MAIL" not in server.verbs()


async def test_the_envelope_goes_out_at_once_where_the_server_pipelines() -> None:
    outcome, server = await outcome_of(hold=True)
    assert isinstance(outcome, Accepted)
    assert server.verbs() == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_without_pipelining_every_reply_is_awaited() -> None:
    """A server that never answers MAIL hears nothing more."""
    outcome, server = await outcome_of(0.1, extensions=("HELP",), MAIL=Odd.HANG)
    assert outcome == Transient(Reason.CONNECTION_FAILED, detail="timed out at MAIL")
    assert server.verbs() == ["EHLO", "MAIL"]


@pytest.mark.parametrize("extensions", [PIPELINING, ("HELP",)], ids=["pipelined", "step by step"])
async def test_after_a_refusal_the_connection_goes_on(extensions: tuple[str, ...]) -> None:
    script: dict[str, Any] = {
        "RCPT": ["550 5.1.1 unknown", "250 ok"],
        "DATA": ["503 5.5.1 no recipient", "354 go"] if extensions == PIPELINING else "354 go",
    }
    async with scripted_server(extensions=extensions, **script) as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider), Permanent)
        assert isinstance(await send_one(provider), Accepted)
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert server.connections == 1
    verbs = server.verbs()
    assert verbs.count("RSET") == 1
    assert verbs.index("RSET") < len(verbs) - 1 - verbs[::-1].index("MAIL")


async def test_content_is_not_sent_where_data_is_granted_without_a_recipient() -> None:
    async with scripted_server(RCPT=["550 5.1.1 unknown", "250 ok"]) as server:
        provider = SmtpProvider(account(server.port))
        assert await send_one(provider) == not_found("550 5.1.1 at RCPT")
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert server.connections == 2
    assert len(server.contents) == 1


async def test_a_refusal_stands_although_the_server_then_falls_silent() -> None:
    outcome, _ = await outcome_of(0.1, RCPT="550 5.1.1 unknown", DATA=Odd.HANG)
    assert outcome == not_found("550 5.1.1 at RCPT")
    outcome, _ = await outcome_of(RCPT="550 5.1.1 unknown", DATA=Odd.CUT)
    assert outcome == not_found("550 5.1.1 at RCPT")


@pytest.mark.parametrize("answer", [Odd.CUT, "421 4.4.2 idle for too long"], ids=["cut", "421"])
async def test_a_kept_connection_found_dead_is_replaced_once(answer: Answer) -> None:
    async with scripted_server(MAIL=["250 ok", answer, "250 ok"]) as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider), Accepted)
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert server.connections == 2
    assert len(server.contents) == 2


@pytest.mark.parametrize("answer", [Odd.CUT, "421 4.4.2 idle for too long"], ids=["cut", "421"])
async def test_it_is_replaced_no_second_time(answer: Answer) -> None:
    async with scripted_server(MAIL=["250 ok", answer, answer]) as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider), Accepted)
        assert isinstance(await send_one(provider), Transient)
        await provider.close()
    assert server.connections == 2


async def test_a_kept_connection_lost_after_the_content_is_not_tried_again() -> None:
    async with scripted_server(CONTENT=["250 ok", Odd.CUT]) as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider), Accepted)
        assert await send_one(provider) == Unknown(
            Reason.CONNECTION_LOST, detail="connection lost after the content"
        )
        await provider.close()
    assert server.connections == 1
    assert len(server.contents) == 2


async def test_a_server_that_restarts_costs_no_message() -> None:
    async with scripted_server() as server:
        provider = SmtpProvider(account(server.port, connections=4))
        await provider.send([message() for _ in range(8)])
        server.cut_all()
        outcomes = await provider.send([message() for _ in range(8)])
        await provider.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 8
    assert len(server.contents) == 16


async def test_what_a_server_says_unasked_is_not_taken_for_a_reply() -> None:
    async with scripted_server() as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider), Accepted)
        server.say("421 4.3.2 shutting down")
        await server.reached("CLOSED")
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert server.connections == 2


async def test_more_than_one_reply_is_not_taken_for_the_next_message_s() -> None:
    async with scripted_server(CONTENT="250 ok\r\n250 and again", MAIL="451 later") as server:
        server.answer("MAIL", "250 ok", "451 later")
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider), Accepted)
        assert await send_one(provider) == Transient(
            Reason.PROVIDER_UNAVAILABLE, detail="451 at MAIL"
        )
        await provider.close()
    assert server.connections == 2


async def test_a_cancelled_send_gives_its_place_back_and_drops_its_connection() -> None:
    async with scripted_server(CONTENT=[Odd.HANG, "250 ok"]) as server:
        provider = SmtpProvider(account(server.port, connections=1))
        sending = asyncio.create_task(send_one(provider))
        await server.reached("CONTENT")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.reached("CLOSED")
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert server.connections == 2


async def test_the_time_limit_covers_the_wait_for_a_connection() -> None:
    async with scripted_server(CONTENT=Odd.HANG) as server:
        provider = SmtpProvider(account(server.port, connections=1, timeout=1.5))
        first, second = await provider.send([message(), message()])
        await provider.close()
    assert first == Unknown(Reason.TIMED_OUT, detail="timed out after the content")
    assert second == Transient(
        Reason.CONNECTION_FAILED, detail="timed out at queue for a connection"
    )
    assert len(server.contents) == 1


@pytest.mark.parametrize(
    ("reply", "queue_id"),
    [
        ("250 2.0.0 Ok: queued as 4FzX5k1Qz", "4FzX5k1Qz"),  # Postfix
        ("250 OK id=1pXyZ0-0001aB-2C", "1pXyZ0-0001aB-2C"),  # Exim
        ("250 2.0.0 31AB2CdE0123 Message accepted for delivery", "31AB2CdE0123"),  # Sendmail
        (
            "250 Ok 0102017f0a1b2c3d-11112222-3333-4444-5555-666677778888-000000",
            "0102017f0a1b2c3d-11112222-3333-4444-5555-666677778888-000000",  # Amazon SES
        ),
        (
            "250 2.0.0 OK  1647000000 a1-20020a5d1234abc.12 - gsmtp",
            "a1-20020a5d1234abc.12",  # Gmail
        ),
        (
            "250 2.6.0 <a@b> [InternalId=1234567890, Hostname=x] Queued mail for delivery",
            "1234567890",  # Exchange
        ),
        ("250 Great success", None),
        ("250", None),
        ("250 2.0.0 Ok: queued for john.doe@example.com", None),
    ],
)
async def test_the_server_s_own_name_of_the_message_is_kept(
    reply: str, queue_id: str | None
) -> None:
    async with scripted_server(CONTENT=reply) as server:
        provider = SmtpProvider(account(server.port))
        sent = message()
        (outcome,) = await provider.send((sent,))
        await provider.close()
    assert isinstance(outcome, Accepted)
    assert outcome.provider_message_id == (queue_id or f"{sent.delivery_id}@example.com")


REPLIES = st.lists(
    st.tuples(
        st.integers(200, 599),
        st.lists(
            st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=30),
            min_size=1,
            max_size=4,
        ),
    ),
    max_size=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    replies=REPLIES,
    cuts=st.lists(st.integers(0, 400), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_replies_are_read_whatever_pieces_they_come_in(
    replies: list[tuple[int, list[str]]], cuts: list[int], end: str
) -> None:
    data = "".join(
        "".join(f"{code}-{line}{end}" for line in lines[:-1]) + f"{code} {lines[-1]}{end}"
        for code, lines in replies
    ).encode()
    reader = ReplyReader()
    read = []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        read += reader.feed(data[start : max(start, stop)])
    assert read == [Reply(code, "\n".join(lines)) for code, lines in replies]
    assert reader.empty


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        replies = ReplyReader().feed(data)
    except MalformedReply:
        return
    assert all(200 <= reply.code <= 599 for reply in replies)


def test_what_a_server_says_is_not_shown() -> None:
    assert "john" not in repr(Reply(550, "5.1.1 john.doe@example.com unknown"))
