"""Ten thousand notifications in many scripts, from one file, over real SMTP: all there, once, intact."""

import asyncio
import email
import email.policy
import os
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import asyncpg
import orjson
import pytest
from babel import Locale
from faker import Faker

from tests.support.mailbox import mailbox
from tests.support.system import System
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

COUNT = 10_000
LOCALES = [
    *("ar_AA", "bn_BD", "de_DE", "el_GR", "en_GB", "fa_IR", "fr_FR", "he_IL", "hi_IN", "hy_AM"),
    *("ja_JP", "ka_GE", "ko_KR", "ne_NP", "ru_RU", "ta_IN", "th_TH", "uk_UA", "vi_VN", "zh_CN"),
]
# Words of CLDR: the names of languages, each in its own script.
WORDS = [
    str(name)
    for locale in (
        "am",
        "bo",
        "chr",
        "dz",
        "gu",
        "km",
        "kn",
        "lo",
        "ml",
        "mr",
        "my",
        "or",
        "pa",
        "si",
        "te",
        "ur",
    )
    for name in list(Locale.parse(locale).languages.values())[:40]
]


def people() -> Iterator[dict[str, str]]:
    fakers = [Faker(locale) for locale in LOCALES]
    for number, faker in enumerate(fakers):
        faker.seed_instance(number)
    for number in range(COUNT):
        faker = fakers[number % len(fakers)]
        words = [WORDS[(number * 7 + step) % len(WORDS)] for step in range(6)]
        yield {
            "number": str(number),
            "name": faker.name(),
            "words": " ".join(words) + " 👩‍👩‍👧 \u200f\u0301",
        }


def body_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return cast("str", part.get_content()).replace("\r\n", "\n").strip("\n")


async def test_ten_thousand_in_many_scripts(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    expected = list(people())
    file = tmp_path / "notifications.jsonl"
    file.write_bytes(
        b"\n".join(
            orjson.dumps(
                {
                    "template_id": "note",
                    "recipient": {"email": f"user{one['number']}@example.com"},
                    "data": one,
                }
            )
            for one in expected
        )
    )
    async with mailbox() as mail:
        accounts: dict[str, Any] = {
            "mail": {
                "provider": "smtp",
                "host": "127.0.0.1",
                "port": mail.port,
                "security": "none",
                "from": "Böörd <board@example.com>",
            }
        }
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template(
                {
                    "email": {
                        "subject": "{{ number }} {{ name }}",
                        "text": "{{ words }}",
                        "html": "<p>{{ words }}</p>",
                    }
                }
            )
            sending = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tidings", "send", "--file", str(file)),
                env={
                    **os.environ,
                    "TIDINGS_CONFIG": os.devnull,
                    "TIDINGS_URL": system.url,
                    "TIDINGS_API_KEY": system.keys[Role.SENDER],
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await asyncio.wait_for(sending.communicate(), 120)
            assert sending.returncode == 0, errors.decode()
            assert "10,000" in (output + errors).decode()
            async with asyncio.timeout(120):
                while await connection.fetchval("SELECT count(*) FROM queue"):
                    await asyncio.sleep(0.05)

    rows = await connection.fetch("SELECT status, count(*) AS n FROM deliveries GROUP BY status")
    assert [(row["status"], row["n"]) for row in rows] == [("sent", COUNT)]
    assert len(mail.messages) == COUNT, "each arrived, and none twice"
    seen = set()
    for raw in mail.messages:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        number, _, name = str(message["Subject"]).partition(" ")
        one = expected[int(number)]
        seen.add(number)
        # A subject is one line: runs of space in a name become one.
        assert name == " ".join(one["name"].split())
        assert body_of(message, "plain") == one["words"]
        assert one["words"] in body_of(message, "html")
        assert message["To"] == f"user{number}@example.com"
    assert len(seen) == COUNT
