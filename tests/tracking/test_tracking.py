"""Opens and clicks of our own, from the send to the status, over real sockets."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pyreqwest.client import ClientBuilder

from tests.api.conftest import own_database
from tests.support.system import Answer, System
from tidings.domain import ids
from tidings.store.api_keys import Role
from tidings.store.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

PUBLIC = "https://t.example.com"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
TARGET = "https://shop.example/offer?a=1&b=2&copy=3"
HTML = (
    '<body><p>Hello {{ name }}</p><a class="x" href="https://shop.example/offer?a=1&amp;b=2&copy=3">offer</a>'
    '<a href="mailto:help@shop.example">help</a><a href="#top">top</a><a href="{{ unsubscribe_url }}">no more</a>'
    '<a data-tidings-track="off" href="https://shop.example/plain">plain</a></body>'
)
CONTENT = {
    "email": {"subject": "s", "html": HTML, "text": f"Look: {TARGET}."},
    "sms": {"body": "Look: https://shop.example/{{ name }}"},
    "in_app": {
        "title": "t",
        "body": "see https://shop.example/in",
        "url": "https://shop.example/u",
    },
}
OTHER = {"email": {"subject": "s", "html": '<a href="https://a.example/1">1</a>', "text": "t"}}


@pytest.fixture(scope="module")
async def system(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    async with (
        own_database(server) as dsn,
        System.run(
            dsn,
            tmp_path_factory.mktemp("tracking"),
            web={"public_url": PUBLIC},
            tracking={"judged_after": 0, "too_soon": 0},
        ) as system,
    ):
        await system.template(CONTENT, track_opens=True, track_clicks=True)
        await system.template(CONTENT, "plain")
        yield system


async def sent(system: System, channel: str, **more: Any) -> tuple[str, Mapping[str, Any]]:
    """A notification's id, and the content that arrived."""
    recipient = {"email": "ann@example.com", "phone": "+15551234567", "user_id": "ann"}
    more = {"recipient": recipient, **more}
    notification_id = await system.send(
        more.pop("recipient"), {"name": "Ann"}, channel_preferences=[channel], **more
    )
    await system.settled(notification_id)
    if channel == "in_app":
        feed = await system.call("GET", "/users/ann/inbox")
        return notification_id, feed.body["entries"][0]
    kept = (await system.call("GET", f"/outbox?channel={channel}&limit=200")).body["messages"]
    wanted = str(ids.delivery_id(UUID(notification_id), 1))
    (message,) = [one for one in kept if one["delivery_id"] == wanted]
    return notification_id, message["content"]


def paths(text: str, kind: str) -> list[str]:
    return re.findall(rf"{PUBLIC}(/t/{kind}/[\w-]+(?:\.gif)?)", text)


async def visit(
    system: System, path: str, method: str = "GET", agent: str = FIREFOX, **headers: str
) -> Answer:
    """Redirects are not followed."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    client = ClientBuilder().no_proxy().follow_redirects(False).build()
    request = client.request(method, system.url + path).headers({"user-agent": agent, **given})
    try:
        response = await request.build().send()
    finally:
        await client.close()
    return Answer(response.status, None, response.get_header)


async def events(system: System, notification_id: str) -> list[str]:
    (delivery,) = (await system.status(notification_id))["deliveries"]
    return [one["type"] for one in delivery["events"]]


async def until_judged(system: System, connection: Any) -> None:
    async with asyncio.timeout(20):
        while await connection.fetchval("SELECT count(*) FROM hits"):
            await asyncio.sleep(0.01)


@pytest.fixture
async def connection(system: System) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(system.dsn)
    yield opened
    await opened.close()


async def counted(connection: Any, notification_id: str) -> dict[int, tuple[int, int, str]]:
    rows = await connection.fetch(
        "SELECT link, requests, persons, rule FROM engagements WHERE delivery_id = $1",
        ids.delivery_id(UUID(notification_id), 1),
    )
    return {row["link"]: (row["requests"], row["persons"], row["rule"]) for row in rows}


async def test_a_click_from_the_send_to_the_status(system: System, connection: Any) -> None:
    notification_id, content = await sent(system, "email")
    (click,) = set(paths(content["html"] + content["text"], "c"))
    answer = await visit(system, click)
    assert (answer.status, answer.headers("location")) == (302, TARGET)
    assert answer.headers("cache-control") == "no-store"
    assert answer.headers("referrer-policy") == "no-referrer"
    await until_judged(system, connection)
    assert "clicked" in await events(system, notification_id)
    again = await visit(system, click)
    assert again.headers("location") == TARGET
    await until_judged(system, connection)
    assert (await events(system, notification_id)).count("clicked") == 1
    assert await counted(connection, notification_id) == {1: (2, 2, "person")}


async def test_only_what_is_to_be_tracked_is_exchanged(system: System) -> None:
    _, content = await sent(system, "email")
    html = content["html"]
    assert re.sub(rf"{PUBLIC}/t/[\w/.-]+", "T", html).startswith(
        '<body><p>Hello Ann</p><a class="x" href="T">offer</a>'
        f'<a href="mailto:help@shop.example">help</a><a href="#top">top</a><a href="{PUBLIC}/u/'
    )
    assert 'href="https://shop.example/plain">plain</a><img src="' in html
    assert content["text"].rstrip().endswith(".")
    _, plain = await sent(system, "email", template_id="plain")
    assert f"{PUBLIC}/t/" not in plain["html"] + plain["text"]


async def test_an_open(system: System, connection: Any) -> None:
    notification_id, content = await sent(system, "email")
    (pixel,) = paths(content["html"], "o")
    answer = await visit(system, pixel)
    assert (answer.status, answer.headers("content-type")) == (200, "image/gif")
    await until_judged(system, connection)
    assert "opened" in await events(system, notification_id)


@pytest.mark.parametrize(
    ("agent", "headers", "method", "counts"),
    [
        ("Mozilla/5.0", {}, "GET", (1, 0, "privacy_proxy")),
        (FIREFOX, {"purpose": "prefetch"}, "GET", (1, 0, "prefetch")),
        (FIREFOX, {"sec_purpose": "prefetch;prerender"}, "GET", (1, 0, "prefetch")),
        (FIREFOX, {"x_moz": "prefetch"}, "GET", (1, 0, "prefetch")),
        (FIREFOX, {}, "HEAD", (0, 0, "head")),
        ("Googlebot/2.1", {}, "GET", (1, 0, "agent")),
        (f"{FIREFOX} (via ggpht.com GoogleImageProxy)", {}, "GET", (1, 1, "image_proxy")),
    ],
)
async def test_who_opened(
    system: System,
    connection: Any,
    agent: str,
    headers: dict[str, str],
    method: str,
    counts: tuple[int, int, str],
) -> None:
    notification_id, content = await sent(system, "email")
    (pixel,) = paths(content["html"], "o")
    await visit(system, pixel, method, agent, **headers)
    await until_judged(system, connection)
    assert await counted(connection, notification_id) == {0: counts}
    assert ("opened" in await events(system, notification_id)) is (counts[1] > 0)


async def test_text_messages_and_the_feed(system: System, connection: Any) -> None:
    notification_id, content = await sent(system, "sms")
    (click,) = paths(content["body"], "c")
    assert len(click) == len("/t/c/") + 36
    assert (await visit(system, click)).headers("location") == "https://shop.example/Ann"
    await until_judged(system, connection)
    assert "clicked" in await events(system, notification_id)
    _, entry = await sent(system, "in_app")
    said = str(entry)
    found = {(await visit(system, one)).headers("location") for one in paths(said, "c")}
    assert found == {"https://shop.example/in", "https://shop.example/u"}


async def test_what_is_not_ours_changes_nothing(system: System, connection: Any) -> None:
    _, content = await sent(system, "email")
    (click,) = set(paths(content["html"], "c"))
    (pixel,) = paths(content["html"], "o")
    token = click.removeprefix("/t/c/")
    other = "A" if token[20] != "A" else "B"
    forged = token[:20] + other + token[21:]
    await until_judged(system, connection)
    before = await connection.fetch("SELECT * FROM engagements ORDER BY 1, 2")
    for wrong in (forged, token[:-1], token + "A", "x", "%00", pixel.removeprefix("/t/o/")[:-4]):
        answer = await visit(system, f"/t/c/{wrong}")
        assert (answer.status, answer.headers("location")) == (404, None)
    for wrong in (forged, token, token[:-2]):
        answer = await visit(system, f"/t/o/{wrong}.gif")
        assert (answer.status, answer.headers("content-type")) == (404, "image/gif")
    await until_judged(system, connection)
    assert await connection.fetch("SELECT * FROM engagements ORDER BY 1, 2") == before


async def test_who_refuses_is_not_tracked(system: System, connection: Any) -> None:
    recipient = {"email": "bea@example.com", "user_id": "bea"}
    notification_id, content = await sent(system, "email", recipient=recipient)
    answer = await system.call("PATCH", "/users/bea/preferences", {"tracking": False})
    assert answer.body["tracking"] is False
    (click,) = set(paths(content["html"], "c"))
    assert (await visit(system, click)).headers("location") == TARGET
    await until_judged(system, connection)
    assert await counted(connection, notification_id) == {}
    _, content = await sent(system, "email", recipient=recipient)
    assert f"{PUBLIC}/t/" not in content["html"] + content["text"]


async def test_a_link_that_is_too_old_leads_nowhere(system: System, connection: Any) -> None:
    notification_id, content = await sent(system, "email")
    (click,) = set(paths(content["html"], "c"))
    (pixel,) = paths(content["html"], "o")
    await connection.execute(
        "UPDATE deliveries SET sent_at = sent_at - interval '400 days' WHERE notification_id = $1",
        UUID(notification_id),
    )
    assert (await visit(system, click)).status == 404
    assert (await visit(system, pixel)).status == 404
    await until_judged(system, connection)
    assert await counted(connection, notification_id) == {}


async def test_counts_of_a_message_and_of_its_template(system: System, connection: Any) -> None:
    await system.template(CONTENT, "counted", track_opens=True, track_clicks=True)
    notification_id, content = await sent(system, "email", template_id="counted")
    (click,) = set(paths(content["html"], "c"))
    (pixel,) = paths(content["html"], "o")
    await visit(system, click)
    await visit(system, pixel, agent="Mozilla/5.0")
    await until_judged(system, connection)
    found = (await system.call("GET", f"/notifications/{notification_id}/engagement")).body
    assert [
        (one["type"], one["requests"], one["persons"], one["rule"]) for one in found["deliveries"]
    ] == [("opened", 1, 0, "privacy_proxy"), ("clicked", 1, 1, "person")]
    found = (await system.call("GET", "/templates/counted/engagement")).body
    assert found["channels"] == [
        {
            "channel": "email",
            "opens": {"requests": 1, "persons": 0, "messages": 0},
            "clicks": {"requests": 1, "persons": 1, "messages": 1},
        }
    ]
    none = await system.call("GET", "/templates/counted/engagement?since=2100-01-01T00:00:00Z")
    assert none.body["channels"] == []


async def test_counts_of_a_batch(system: System, connection: Any) -> None:
    batch = (await system.call("POST", "/batches", {"name": "b"})).body["batch_id"]
    item = {
        "template_id": "note",
        "recipient": {"email": "ann@example.com"},
        "data": {"name": "Ann"},
        "channel_preferences": ["email"],
    }
    answer = await system.call(
        "POST", f"/notifications/bulk?batch_id={batch}", {"notifications": [item]}
    )
    notification_id = answer.body["results"][0]["notification_id"]
    await system.settled(notification_id)
    kept = (await system.call("GET", "/outbox?channel=email&limit=200")).body["messages"]
    wanted = str(ids.delivery_id(UUID(notification_id), 1))
    (message,) = [one for one in kept if one["delivery_id"] == wanted]
    (pixel,) = paths(message["content"]["html"], "o")
    await visit(system, pixel)
    await until_judged(system, connection)
    found = (await system.call("GET", f"/batches/{batch}/engagement")).body
    assert found["channels"][0]["opens"] == {"requests": 1, "persons": 1, "messages": 1}


async def test_links_of_a_person_that_is_erased_lead_nowhere(
    system: System, connection: Any
) -> None:
    recipient = {"email": "eva@example.com", "user_id": "eva"}
    await system.call("PUT", "/users/eva", {"email": "eva@example.com"})
    _, content = await sent(system, "email", recipient=recipient)
    (click,) = set(paths(content["html"], "c"))
    assert (await visit(system, click)).status == 302
    await until_judged(system, connection)
    request = system.client.get(f"{system.url}/users/eva/export").bearer_auth(
        system.keys[Role.ADMIN]
    )
    assert '"kind":"engagement"' in await (await request.build().send()).text()
    assert await connection.fetchval("SELECT count(*) FROM engagements WHERE user_id = 'eva'") == 1
    assert (await system.call("POST", "/users/eva/erase")).status == 200
    assert (await visit(system, click)).status == 404
    assert await connection.fetchval("SELECT count(*) FROM engagements WHERE user_id = 'eva'") == 0
