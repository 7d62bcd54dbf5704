"""SMTP against aiosmtpd: what arrives, over which connections, and what an account is told."""

import email
import email.policy
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.providers.smtp_server import HOST, Authority, MailServer, mail_server, scripted_server
from tidings.domain.channels import Channel
from tidings.domain.messages import Attachment, EmailContent, Message, SmsContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account, FieldValue, Provider, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.smtp.manifest import MANIFEST
from tidings.providers.smtp.send import SmtpProvider
from tidings.settings import SettingsError

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def account(port: int, *, timeout: float = 20, **values: Any) -> Account:
    defaults = {field.name: field.default for field in MANIFEST.fields}
    given: dict[str, FieldValue] = {
        "host": HOST,
        "port": port,
        "security": "none",
        "from": "Shop <shop@example.com>",
    }
    return Account("main", "smtp", (Channel.EMAIL,), False, timeout, defaults | given | values)


def message(
    address: str = "john.doe@example.com",
    content: EmailContent | None = None,
    delivery_id: UUID | None = None,
) -> Message:
    return Message(
        delivery_id=delivery_id or uuid4(),
        notification_id=uuid4(),
        channel=Channel.EMAIL,
        address=address,
        content=content or EmailContent("Hello", "Dear John\n", "<p>Dear John</p>\n"),
        accepted_at=datetime.now(UTC),
    )


async def send_one(
    provider: Provider,
    address: str = "john.doe@example.com",
    content: EmailContent | None = None,
    delivery_id: UUID | None = None,
) -> Outcome:
    (outcome,) = await provider.send((message(address, content, delivery_id),))
    return outcome


def body_of(server: MailServer, position: int = -1) -> bytes:
    content = server.envelopes[position].original_content
    assert isinstance(content, bytes)
    return content


async def test_a_message_arrives_with_envelope_headers_and_both_parts() -> None:
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        delivery_id = uuid4()
        content = EmailContent("Grüße 👋", ".\n..dots\nFrom us", "<p>Hé</p>", "help@example.com")
        before = datetime.now(UTC).replace(microsecond=0)
        outcome = await send_one(provider, "john.doe@example.com", content, delivery_id)
        await provider.close()
    assert outcome == Accepted("00000001", detail="250 2.0.0")
    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("shop@example.com", ["john.doe@example.com"])
    got = email.message_from_bytes(body_of(server), policy=email.policy.default)
    assert {name: str(got[name]) for name in ("From", "To", "Reply-To", "Subject")} == {
        "From": "Shop <shop@example.com>",
        "To": "john.doe@example.com",
        "Reply-To": "help@example.com",
        "Subject": "Grüße 👋",
    }
    assert got["Message-ID"] == f"<{delivery_id}@example.com>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert before <= got["Date"].datetime <= datetime.now(UTC) + timedelta(seconds=1)
    plain, html = (part.get_content() for part in got.iter_parts())
    assert plain.replace("\r\n", "\n") == ".\n..dots\nFrom us"
    assert html == "<p>Hé</p>"


async def test_many_messages_share_few_connections_and_each_arrives_once() -> None:
    async with scripted_server() as server:
        provider = SmtpProvider(account(server.port, connections=3))
        outcomes = await provider.send([message(f"user{n}@example.com") for n in range(100)])
        await provider.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 100
    recipients = sorted(line for _, line in server.commands if line.startswith("RCPT"))
    assert recipients == sorted(f"RCPT TO:<user{n}@example.com>" for n in range(100))
    assert server.connections == 3


async def test_outcomes_come_in_the_order_of_the_messages() -> None:
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        outcomes = await provider.send(
            [message("a@example.com"), message("no address"), message("b@example.com")]
        )
        await provider.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted, Permanent, Accepted]


async def test_a_connection_is_kept_and_said_goodbye_to() -> None:
    async with scripted_server() as server:
        provider = SmtpProvider(account(server.port))
        for _ in range(3):
            assert isinstance(await send_one(provider), Accepted)
        await provider.close()
        await server.reached("CLOSED")
    assert server.connections == 1
    assert server.verbs() == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]


async def test_an_idle_connection_is_closed() -> None:
    async with scripted_server() as server:
        provider = SmtpProvider(account(server.port, idle=0.05))
        await send_one(provider)
        await server.reached("CLOSED")
        assert server.verbs()[-1] == "QUIT"
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert server.connections == 2


async def test_starttls_protects_everything_after_it(authority: Authority) -> None:
    context = authority.server_context()
    async with mail_server(tls_context=context, passwords={b"shop": b"secret"}) as server:
        provider = SmtpProvider(
            account(
                server.port,
                security="starttls",
                ca_file=str(authority.file),
                username="shop",
                password="secret",
            )
        )
        assert isinstance(await send_one(provider), Accepted)
        assert isinstance(await send_one(provider), Accepted)
        found = await provider.check()
        await provider.close()
    assert server.encrypted == server.signed_in == [True, True]
    assert found.startswith(f"{HOST}:{server.port} answers, TLSv1.")
    assert found.endswith(", signed in")


async def test_tls_from_the_start(authority: Authority) -> None:
    async with scripted_server(tls_first=authority.server_context()) as server:
        provider = SmtpProvider(
            account(server.port, security="tls", ca_file=str(authority.file), timeout=20)
        )
        assert isinstance(await send_one(provider), Accepted)
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
        await server.reached("CLOSED")
    assert server.connections == 1
    assert server.verbs()[-1] == "QUIT"


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("trouble", ["unknown authority", "another name"])
async def test_a_certificate_that_does_not_verify_is_refused(
    authority: Authority, tmp_path: Path, security: str, trouble: str
) -> None:
    context = authority.server_context("192.0.2.1" if trouble == "another name" else HOST)
    trusted = Authority(tmp_path) if trouble == "unknown authority" else authority
    tls: dict[str, Any] = {"tls_first" if security == "tls" else "tls_context": context}
    async with mail_server(**tls) as server:
        provider = SmtpProvider(account(server.port, security=security, ca_file=str(trusted.file)))
        outcome = await send_one(provider)
        with pytest.raises(ProviderCheckError, match="ca_file"):
            await provider.check()
        await provider.close()
    assert outcome == Transient(Reason.TLS_FAILED, detail="CERTIFICATE_VERIFY_FAILED")
    assert not server.envelopes


async def test_without_starttls_on_offer_nothing_is_said_in_the_clear() -> None:
    async with scripted_server(extensions=("PIPELINING", "AUTH PLAIN")) as server:
        provider = SmtpProvider(
            account(server.port, security="starttls", username="shop", password="secret")
        )
        outcome = await send_one(provider)
        with pytest.raises(ProviderCheckError, match="does not offer STARTTLS"):
            await provider.check()
        await provider.close()
    assert outcome == Transient(Reason.TLS_FAILED, detail="STARTTLS is not offered")
    assert set(server.verbs()) == {"EHLO"}


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_a_wrong_password_is_for_the_operator_to_mend() -> None:
    async with mail_server(
        auth_require_tls=False, auth_required=True, passwords={b"shop": b"right"}
    ) as server:
        wrong = SmtpProvider(account(server.port, username="shop", password="wrong-one"))
        outcome = await send_one(wrong)
        with pytest.raises(ProviderCheckError, match="check username and password") as refusal:
            await wrong.check()
        await wrong.close()
        unnamed = SmtpProvider(account(server.port))
        assert await send_one(unnamed) == Transient(
            Reason.CREDENTIALS_REFUSED, detail="530 5.7.0 at MAIL"
        )
        await unnamed.close()
        right = SmtpProvider(account(server.port, username="shop", password="right"))
        assert isinstance(await send_one(right), Accepted)
        await right.close()
    assert outcome == Transient(Reason.CREDENTIALS_REFUSED, detail="535 5.7.8 at AUTH")
    assert "wrong-one" not in f"{wrong!r} {vars(wrong)!r} {refusal.value} {outcome!r}"


async def test_signing_in_where_nobody_can() -> None:
    async with mail_server(auth_exclude_mechanism=["LOGIN", "PLAIN"]) as server:
        provider = SmtpProvider(account(server.port, username="shop", password="secret"))
        outcome = await send_one(provider)
        await provider.close()
    assert outcome == Transient(Reason.CREDENTIALS_REFUSED, detail="no common AUTH method")


async def test_international_addresses_where_the_server_takes_them() -> None:
    async with mail_server(enable_SMTPUTF8=True) as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider, "jörg@müller.example"), Accepted)
        assert isinstance(await send_one(provider, "joerg@müller.example"), Accepted)
        await provider.close()
    first, second = server.envelopes
    assert first.rcpt_tos == ["jörg@müller.example"]
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(first.mail_options)
    assert "To: jörg@müller.example\r\n".encode() in body_of(server, 0)
    # What every server takes needs no extension.
    assert second.rcpt_tos == ["joerg@xn--mller-kva.example"]
    assert "SMTPUTF8" not in second.mail_options


async def test_international_addresses_where_the_server_does_not() -> None:
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        outcome = await send_one(provider, "jörg@müller.example")
        assert isinstance(await send_one(provider, "joerg@müller.example"), Accepted)
        await provider.close()
    assert outcome == Permanent(Reason.ADDRESS_INVALID, detail="server does not offer SMTPUTF8")
    (envelope,) = server.envelopes
    assert envelope.rcpt_tos == ["joerg@xn--mller-kva.example"]


@pytest.mark.parametrize(
    "address", ["nobody", "a@b.example>\r\nRCPT TO:<c@d.example", "\ud800@x.example"]
)
async def test_what_is_no_address_never_reaches_the_server(address: str) -> None:
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        outcome = await send_one(provider, address)
        bad_reply_to = EmailContent("s", "t", reply_to="x\r\nBcc: y@example.com")
        second = await send_one(provider, "john@example.com", bad_reply_to)
        await provider.close()
    for each in (outcome, second):
        assert isinstance(each, Permanent)
        assert each.reason is Reason.ADDRESS_INVALID
        assert not each.suppress
        assert address not in each.detail
    assert not server.envelopes


async def test_the_declared_size_is_respected() -> None:
    async with mail_server(data_size_limit=2000) as server:
        provider = SmtpProvider(account(server.port))
        outcome = await send_one(provider, content=EmailContent("s", "much text\n" * 200))
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert outcome == Permanent(Reason.MESSAGE_TOO_LARGE, detail="server takes 2000 bytes")
    (envelope,) = server.envelopes
    size = len(body_of(server))
    assert f"SIZE={size}" in envelope.mail_options


async def test_the_name_said_in_hello() -> None:
    async with mail_server() as server:
        for hello in ("app.example.com", ""):
            provider = SmtpProvider(account(server.port, hello=hello))
            await send_one(provider)
            await provider.close()
    own = socket.gethostname()
    assert server.hello == ["app.example.com", own if "." in own else f"[{HOST}]"]


async def test_check_tells_what_it_found_and_sends_nothing() -> None:
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        found = await provider.check()
        await provider.close()
    assert found == f"{HOST}:{server.port} answers, no encryption, no sign-in"
    assert not server.envelopes


async def test_check_of_a_port_where_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        provider = SmtpProvider(account(unused.getsockname()[1]))
        with pytest.raises(ProviderCheckError, match=r"ConnectionRefusedError.*check host, port"):
            await provider.check()
        assert await send_one(provider) == Transient(
            Reason.CONNECTION_FAILED, detail="ConnectionRefusedError at connect"
        )
        await provider.close()


async def test_check_of_a_server_that_refuses() -> None:
    async with scripted_server(NOOP="502 5.5.1 not here") as server:
        provider = SmtpProvider(account(server.port))
        with pytest.raises(ProviderCheckError, match=r"502 5\.5\.1 to NOOP"):
            await provider.check()
        await provider.close()


async def test_a_name_that_cannot_be_looked_up() -> None:
    provider = SmtpProvider(account(25, host="x" * 64 + ".example"))
    outcome = await send_one(provider)
    await provider.close()
    assert outcome == Transient(Reason.CONNECTION_FAILED, detail="host name not found")


async def test_files_and_headers_arrive() -> None:
    content = EmailContent(
        "s",
        "t",
        headers={"List-Unsubscribe": "<https://example.com/u>"},
        attachments=(Attachment("a.pdf", "application/pdf", b"%PDF\r\n.\r\n"),),
    )
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        assert isinstance(await send_one(provider, content=content), Accepted)
        await provider.close()
    got = email.message_from_bytes(body_of(server), policy=email.policy.default)
    assert got["List-Unsubscribe"] == "<https://example.com/u>"
    assert [part.get_content() for part in got.iter_attachments()] == [b"%PDF\r\n.\r\n"]


@pytest.mark.parametrize(
    "content",
    [
        EmailContent("s", "t", cc=("nobody",)),
        EmailContent("s", "t", bcc=("a@b.example, c@d.example",)),
        EmailContent("s", "t", headers={"Bcc": "c@example.com"}),
        EmailContent("s", "t", attachments=(Attachment("a", "nonsense", b""),)),
    ],
)
async def test_what_cannot_be_sent_over_smtp_is_said_not_dropped(content: EmailContent) -> None:
    provider = SmtpProvider(account(25))
    outcome = await send_one(provider, content=content)
    await provider.close()
    assert isinstance(outcome, Permanent)
    assert outcome.reason is Reason.CONTENT_REJECTED


COPIED = EmailContent("s", "t", cc=("Ann <ann@example.com>",), bcc=("eve@example.com",))


async def test_copies_go_to_all_of_the_envelope_and_bcc_stands_in_no_header() -> None:
    async with mail_server() as server:
        provider = SmtpProvider(account(server.port))
        assert await send_one(provider, content=COPIED) == Accepted("00000001", detail="250 2.0.0")
        await provider.close()
    (envelope,) = server.envelopes
    assert envelope.rcpt_tos == ["john.doe@example.com", "ann@example.com", "eve@example.com"]
    got = email.message_from_bytes(body_of(server), policy=email.policy.default)
    assert got["To"] == "john.doe@example.com"
    assert got["Cc"] == "Ann <ann@example.com>"
    assert b"eve@example.com" not in body_of(server)


@pytest.mark.parametrize(
    "extensions", [("8BITMIME",), ("PIPELINING",)], ids=["in turn", "pipelined"]
)
async def test_a_copy_that_is_refused_is_left_out(extensions: tuple[str, ...]) -> None:
    rcpt = ["250 2.1.5 Ok", "550 5.1.1 no such user", "250 2.1.5 Ok"]
    async with scripted_server(extensions=extensions, RCPT=rcpt) as server:
        provider = SmtpProvider(account(server.port))
        first = await send_one(provider, content=COPIED)
        second = await send_one(provider)
        await provider.close()
    assert isinstance(first, Accepted)
    assert first.detail == "250 2.0.0; 1 of 2 copies refused"
    assert isinstance(second, Accepted)
    assert server.connections == 1


@pytest.mark.parametrize(
    "extensions", [("8BITMIME",), ("PIPELINING",)], ids=["in turn", "pipelined"]
)
async def test_without_the_recipient_nobody_gets_a_copy(extensions: tuple[str, ...]) -> None:
    rcpt = ["550 5.1.1 no such user", "250 2.1.5 Ok"]
    async with scripted_server(extensions=extensions, RCPT=rcpt) as server:
        provider = SmtpProvider(account(server.port))
        outcome = await send_one(provider, content=COPIED)
        assert isinstance(await send_one(provider), Accepted)
        await provider.close()
    assert isinstance(outcome, Permanent)
    assert outcome.reason is Reason.MAILBOX_NOT_FOUND
    assert len(server.contents) == 1  # of the second message


async def test_another_kind_of_content_is_a_mistake_of_the_caller() -> None:
    provider = SmtpProvider(account(25))
    sms = Message(
        uuid4(), uuid4(), Channel.SMS, "+15551234567", SmsContent("hi"), datetime.now(UTC)
    )
    with pytest.raises(TypeError, match="SmsContent"):
        await provider.send((sms,))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"from": "Shop"}, "accounts.main.from"),
        ({"host": "two words"}, "accounts.main.host"),
        ({"hello": "a\r\nMAIL"}, "accounts.main.hello"),
        ({"username": "shop"}, "username and password"),
        ({"security": "tls", "ca_file": "/nonexistent.pem"}, "accounts.main.ca_file"),
    ],
)
async def test_values_that_cannot_be_used_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        SmtpProvider(account(25, **values))
