"""Whom an email is from, and which account may send it from there."""

from pathlib import Path

import pytest

from tests.delivery.test_failing_accounts import mail
from tests.providers.smtp_server import MailServer, mail_server
from tests.support.system import System

pytestmark = pytest.mark.anyio

BODY = {"subject": "s", "text": "t"}


def senders(server: MailServer) -> list[tuple[str | None, str]]:
    """The envelope's sender, and the header."""
    found = []
    for one in server.envelopes:
        assert isinstance(one.content, bytes)
        [line] = [line for line in one.content.split(b"\r\n") if line.startswith(b"From: ")]
        found.append((one.mail_from, line.decode()))
    return found


async def test_the_account_of_the_sender_s_domain_takes_it(dsn: str, tmp_path: Path) -> None:
    async with mail_server() as shop, mail_server() as news:
        accounts = {
            "news": mail(
                news.port, order=0, sender_domains=["news.example"], **{"from": "x@news.example"}
            ),
            "shop": mail(shop.port, order=1, sender_domains=["Shop.Example", "bücher.example"]),
        }
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template(
                {"email": {**BODY, "from": "Orders <orders@shop.example>"}},
                locales={
                    "de": {"email": {**BODY, "from": "Buch <b@bücher.example>"}},
                    "fr": {"email": BODY},
                },
            )
            for locale in (None, "de-AT", "fr"):
                recipient = {"email": "ada@example.com"} | ({"locale": locale} if locale else {})
                status = await system.settled(await system.send(recipient))
                assert status["deliveries"][0]["account"] == "shop"
            await system.template({"email": BODY}, "plain")
            plain = await system.send({"email": "ada@example.com"}, template_id="plain")
            assert (await system.settled(plain))["deliveries"][0]["account"] == "news"
            await system.template({"email": {**BODY, "from": "a@other.example"}}, "other")
            other = await system.send({"email": "ada@example.com"}, template_id="other")
            status = await system.until(other, lambda one: one["reason"] is not None)
            assert status["deliveries"][0]["reason"] == "no_account"
    orders = ("orders@shop.example", "From: Orders <orders@shop.example>")
    books = ("b@xn--bcher-kva.example", "From: Buch <b@xn--bcher-kva.example>")
    assert senders(shop) == [orders, books, orders]
    assert senders(news) == [("x@news.example", "From: x@news.example")]


async def test_an_account_sends_from_its_own_address_what_it_may_not_send_from_another(
    dsn: str, tmp_path: Path
) -> None:
    async with mail_server() as server:
        accounts = {"mail": mail(server.port)}
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            for name, sender in (("own", "help@example.com"), ("not", "help@other.example")):
                await system.template({"email": {**BODY, "from": sender}}, name)
                sent = await system.send({"email": "ada@example.com"}, template_id=name)
                assert (await system.settled(sent))["status"] == "sent"
    assert [envelope for envelope, _ in senders(server)] == ["help@example.com", "shop@example.com"]


@pytest.mark.parametrize("sender", ["{{ data.who }}@example.com", "Shop", "a@b@c", "Shop <a@b>\n"])
async def test_what_is_no_sender_is_refused_when_it_is_saved(
    dsn: str, tmp_path: Path, sender: str
) -> None:
    async with System.run(dsn, tmp_path, working=False) as system:
        body = {"id": "note", "content": {"email": {**BODY, "from": sender}}}
        answer = await system.call("POST", "/templates", body)
    assert answer.status == 400
    [error] = answer.body["errors"]
    assert error["path"] == "content.email.from"
    assert error["message"].split()[0] in {"the", "allowed"}
