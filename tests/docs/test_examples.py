"""The examples do what they say."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from examples import verify_webhook
from examples.mail_server import MailServer
from examples.verify_webhook import NotVerifiedError, verify
from hypothesis import given
from hypothesis import strategies as st

from tests.docs.desk import free_port
from tests.docs.pages import ROOT
from tests.support.system import System
from tidings.cli import template_folder, template_paths
from tidings.providers.webhook.signing import read_secret, sign
from tidings.store.api_keys import Role

_SECRET = "whsec_" + "c2VjcmV0" * 4
_NOW = 1_800_000_000


async def _run(program: str, *arguments: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, f"examples/{program}", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.anyio
async def test_send_tells_what_became_of_it(system: System) -> None:
    template = template_folder.read(ROOT / "examples/templates/welcome_email")
    await system.template(dict(template.content), template.id)
    status, output = await _run(
        "send.py",
        "ada@example.com",
        TIDINGS_URL=system.url,
        TIDINGS_API_KEY=system.keys[Role.SENDER],
    )
    assert status == 0, output
    first, second = output.splitlines()
    notification_id = first.removeprefix("accepted ")
    assert second == "email: delivered (stored)"
    assert (await system.status(notification_id))["correlation_id"] == "order-12345"


@pytest.mark.anyio
async def test_send_says_why_it_was_refused(system: System) -> None:
    status, output = await _run(
        "send.py", "nobody", TIDINGS_URL=system.url, TIDINGS_API_KEY=system.keys[Role.SENDER]
    )
    assert status == 1
    assert '"path":"recipient.email"' in output


def test_every_template_is_one() -> None:
    folders = template_paths.find([ROOT / "examples/templates"]).templates
    assert [template_folder.read(folder).id for folder in folders] == sorted(
        folder.name for folder in (ROOT / "examples/templates").iterdir()
    )


# ---------------------------------------------------------------- verify_webhook


def _headers(body: bytes, message_id: str = "msg_1", at: int = _NOW) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign([read_secret(_SECRET)], message_id, at, body),
    }


@given(st.binary(), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_what_tidings_signs_is_verified(body: bytes, message_id: str) -> None:
    verify(_SECRET, _headers(body, message_id), body, _NOW)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (_headers(b"{}"), b"{} "),
        ({**_headers(b"{}"), "webhook-id": "msg_2"}, b"{}"),
        ({**_headers(b"{}"), "webhook-timestamp": str(_NOW + 1)}, b"{}"),
        ({**_headers(b"{}"), "webhook-signature": "v1,"}, b"{}"),
        ({**_headers(b"{}"), "webhook-timestamp": "soon"}, b"{}"),
        (_headers(b"{}", at=_NOW - verify_webhook.TOLERANCE - 1), b"{}"),
        ({}, b"{}"),
    ],
)
def test_what_was_changed_or_is_old_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(NotVerifiedError):
        verify(_SECRET, headers, body, _NOW)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The program itself: its port, and the file of what it prints."""
    port, printed = free_port(), tmp_path / "printed.txt"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "examples/verify_webhook.py", str(port)],
            cwd=ROOT,
            env={**os.environ, "WEBHOOK_SECRET": _SECRET},
            stdout=output,
            stderr=output,
        )
        try:
            yield port, printed
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.anyio
async def test_the_receiver_handles_an_event_once(receiver: tuple[int, Path]) -> None:
    port, printed = receiver
    await _until_listening(port)
    body = json.dumps({"type": "order.shipped", "data": {"order": 7}}).encode()
    now = int(time.time())
    good, forged = _headers(body, at=now), _headers(body + b" ", at=now)
    assert [await _post(port, one, body) for one in (good, good, forged)] == [204, 204, 401]
    assert printed.read_text().count('verified order.shipped: {"order": 7}') == 1


async def _until_listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def _post(port: int, headers: dict[str, str], body: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST / HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines])
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = await reader.readline()
    writer.close()
    return int(answer.split()[1])


# ---------------------------------------------------------------- mail_server


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["plain\n", ".\n..\n.a\n", "Привет, 世界\n", "a" * 5000 + "\n"])
async def test_the_mail_server_keeps_what_it_was_sent(text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Grüße"
    message.set_content(text)
    message.add_alternative(f"<p>{text}</p>", subtype="html")
    async with MailServer().running() as server:
        await aiosmtplib.send(message, hostname="127.0.0.1", port=server.port)
    [mail] = server.mails
    assert (mail.sender, mail.recipients) == ("a@example.com", ("b@example.com",))
    assert mail.message["Subject"] == "Grüße"
    assert mail.part("plain").replace("\r\n", "\n") == text
    assert "<p>" in mail.part("html")
