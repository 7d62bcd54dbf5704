"""A system that does all that is logged, for the test that reads its log: python -m tests.api.talkative DSN DIRECTORY FORMAT."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.system import System

# What must not be in any log. The texts are such that an escape would not hide them.
PRIVATE = {
    "name": "Quzixy-name-7f3a",
    "email": "quzixy-mail-9d4c@example.com",
    "phone": "+15559481726",
    "url": "quzixy-hook-77e1",
    "key": "tdg_quzixy-key-5d5d",
    "content": "quzixy-content-31bc",
    "correlation": "quzixy-correlation-88aa",
}
CONTENT = {
    "email": {"subject": "For {{ name }}", "html": "<b>{{ name }}</b> " + PRIVATE["content"]},
    "sms": {"body": "{{ name + 1 }}"},
    "webhook": {},
    "in_app": {"title": "{{ name }}", "body": PRIVATE["content"]},
}


async def deliver(system: System) -> None:
    await system.template(CONTENT)
    data = {"name": PRIVATE["name"]}
    for address in ("http://127.0.0.1:9/", "http://10.0.0.1/", "http://[::1]:9/"):
        recipient = {
            "user_id": "ann",
            "email": PRIVATE["email"],
            "phone": PRIVATE["phone"],
            "webhook_url": address + PRIVATE["url"],
        }
        await system.settled(await system.send(recipient, data, idempotency_key=address))
        await system.send(recipient, data, idempotency_key=address)
    await system.settled(await system.send({"email": PRIVATE["email"]}, {}))


async def refuse(system: System) -> None:
    send = "/notifications/send"
    for body in (
        {"template_id": PRIVATE["name"] + "!", "recipient": {"email": PRIVATE["email"] + "\n"}},
        {"template_id": "note", "recipient": {"phone": PRIVATE["name"]}, "data": PRIVATE["name"]},
        {"template_id": "nope", "recipient": {"email": PRIVATE["email"]}},
        {"template_id": "note", "recipient": {}, "data": {"name": PRIVATE["name"]}},
    ):
        assert (await system.call("POST", send, body)).status == 400
    raw = f'{{"a": "{PRIVATE["name"]}"'.encode()
    assert (await system.call("POST", send, raw=raw)).status == 400
    headers = {"Authorization": f"Bearer {PRIVATE['key']}"}
    assert (await system.call("GET", "/templates", role=None, headers=headers)).status == 401
    assert (await system.call("GET", f"/{PRIVATE['name']}?{PRIVATE['email']}")).status == 404


async def fail(system: System) -> None:
    """Errors whose text holds what was to be stored."""
    connection = await asyncpg.connect(system.dsn)
    await connection.execute(
        "ALTER TABLE notifications ADD CHECK (correlation_id NOT LIKE 'quzixy%')"
    )
    body: dict[str, Any] = {
        "template_id": "note",
        "recipient": {"user_id": PRIVATE["name"]},
        "data": {"name": PRIVATE["name"]},
        "correlation_id": PRIVATE["correlation"],
    }
    answer = await system.call("POST", "/notifications/send", body)
    assert (answer.status, answer.body["code"]) == (500, "internal_error")
    assert not any(private in str(answer.body) for private in PRIVATE.values())
    await connection.execute("ALTER TABLE preferences RENAME TO others")
    answer = await system.call("GET", f"/users/{PRIVATE['name']}/preferences")
    assert answer.status == 500
    await connection.close()


async def main(dsn: str, directory: str, form: str) -> None:
    options: dict[str, Any] = {
        "log": {"format": form, "level": "debug"},
        "retry": {"attempts": 2, "base": 0},
        "outbound": {"allow": ["127.0.0.1/32"]},
        "accounts": {
            "hook": {"provider": "webhook", "secret": "whsec_" + "QUFB" * 8, "timeout": 1},
            "mail": {
                "provider": "smtp",
                "host": "127.0.0.1",
                "port": 9,
                "from": "news@example.com",
                "timeout": 1,
            },
        },
    }
    async with System.run(dsn, Path(directory), **options) as system:
        await deliver(system)
        await refuse(system)
        await fail(system)
        print("\n".join(system.keys.values()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
