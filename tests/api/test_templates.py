"""Templates: versions, previews, mistakes, and what a notification was accepted with."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import Rows
from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio


def content(text: str = "t", subject: str = "s", **more: str) -> dict[str, Any]:
    return {"email": {"subject": subject, "text": text, **more}}


def without_warnings(saved: dict[str, Any]) -> dict[str, Any]:
    """As it is read later."""
    assert saved["warnings"] == []
    return {name: value for name, value in saved.items() if name != "warnings"}


async def test_create_update_and_read(system: System) -> None:
    created = await system.call(
        "POST",
        "/templates",
        {
            "id": "order.paid-v2_x",
            "name": "Bestellung bezahlt 💶",
            "category": "billing",
            "on_unknown": "hold",
            "content": content("one"),
        },
    )
    assert created.status == 201
    first = without_warnings(created.body)
    assert (first["id"], first["version"], first["category"]) == ("order.paid-v2_x", 1, "billing")
    assert (first["name"], first["on_unknown"]) == ("Bestellung bezahlt 💶", "hold")
    assert first["content"] == content("one")

    updated = await system.call("PUT", "/templates/order.paid-v2_x", {"content": content("two")})
    assert updated.status == 200
    second = without_warnings(updated.body)
    assert (second["version"], second["content"]) == (2, content("two"))
    # An update is whole: what it does not say takes its default, not what was before.
    assert (second["category"], second["on_unknown"]) == ("transactional", "resend")

    assert (await system.call("GET", "/templates/order.paid-v2_x")).body == second
    assert (await system.call("GET", "/templates/order.paid-v2_x?version=1")).body == first
    assert (await system.call("GET", "/templates/order.paid-v2_x?version=2")).body == second
    assert datetime.fromisoformat(first["created_at"]) <= datetime.now(UTC)


async def test_create_twice(quiet: System, rows: Rows) -> None:
    before = await rows()
    answer = await quiet.call("POST", "/templates", {"id": "note", "content": content()})
    assert_problem(answer, Code.TEMPLATE_EXISTS)
    assert await rows() == before


async def test_concurrent_updates_make_a_version_each(system: System) -> None:
    await system.template(content())
    answers = await asyncio.gather(
        *(
            system.call("PUT", "/templates/note", {"content": content(f"text {n}")})
            for n in range(20)
        )
    )
    assert sorted(answer.body["version"] for answer in answers) == [*range(2, 22)]
    for answer in answers:
        version = answer.body["version"]
        stored = await system.call("GET", f"/templates/note?version={version}")
        assert stored.body == without_warnings(answer.body)


async def test_concurrent_creation_has_one_winner(quiet: System) -> None:
    body = {"id": "race", "content": content()}
    answers = await asyncio.gather(*(quiet.call("POST", "/templates", body) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 9]


async def test_list_walks_all(system: System) -> None:
    ids = sorted(f"{letter}{number}" for letter in "aBz" for number in range(7))
    for template_id in ids:
        await system.template(content(), template_id)
    found: list[str] = []
    query = "?limit=4"
    while True:
        page = (await system.call("GET", f"/templates{query}")).body
        found += [template["id"] for template in page["templates"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=4&cursor={page['next_cursor']}"
    assert sorted(found) == ids
    assert len(found) == len(ids)


MISTAKES: list[tuple[dict[str, Any], str, int]] = [
    (content("{{"), "content.email.text", 1),
    (content("a\nb\n{% if x %}"), "content.email.text", 3),
    (content("ok", "{{ name"), "content.email.subject", 1),
    (content("ok", html="<p>\n{{ name|nofilter }}</p>"), "content.email.html", 2),
    (content("ok", reply_to="{{ 1 + }}"), "content.email.reply_to", 1),
    (content("{% endfor %}"), "content.email.text", 1),
    (content("\n{% include 'other' %}"), "content.email.text", 2),
    (content("{% extends 'other' %}"), "content.email.text", 1),
    (content("{% import 'os' as os %}"), "content.email.text", 1),
    (content("{% from 'os' import system %}"), "content.email.text", 1),
    (content("{% for a in b %}" * 30 + "{% endfor %}" * 30), "content.email.text", 1),
    (content("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}"), "content.email.text", 1),
    (content("{{ 10 ** 5000 }}"), "content.email.text", 1),
    ({"sms": {"body": "{% unknown %}"}}, "content.sms.body", 1),
    ({"push": {"title": "{{", "body": "b"}}, "content.push.title", 1),
    ({"in_app": {"title": "t", "body": "b", "url": "{{ }}"}}, "content.in_app.url", 1),
    ({"chat": {"body": "{{ 1 2 }}"}}, "content.chat.body", 1),
    ({"webhook": {"payload": {"a": [1, {"b": "{{"}]}}}, "content.webhook.payload.a.1.b", 1),
]


@pytest.mark.parametrize(("wrong", "path", "line"), MISTAKES)
async def test_mistake(
    quiet: System, rows: Rows, wrong: dict[str, Any], path: str, line: int
) -> None:
    before = await rows()
    for method, url, body in (
        ("POST", "/templates", {"id": "fresh", "content": wrong}),
        ("PUT", "/templates/note", {"content": wrong}),
    ):
        answer = await quiet.call(method, url, body)
        assert_problem(answer, Code.INVALID_TEMPLATE, path)
        (error,) = answer.body["errors"]
        assert error["message"].startswith(f"line {line}: ")
    assert await rows() == before


async def test_preview(quiet: System, rows: Rows) -> None:
    before = await rows()
    answer = await quiet.call(
        "POST",
        "/templates/note/preview",
        {"data": {"name": "<Ann>"}, "recipient": {"locale": "en"}},
        role=Role.VIEWER,
    )
    assert answer.status == 200
    assert (answer.body["template_id"], answer.body["version"]) == ("note", 1)
    assert answer.body["errors"] == {}
    rendered = answer.body["rendered"]
    expected = {
        "subject": "Hello <Ann>",
        "text": "Dear <Ann>",
        "html": "<p>&lt;Ann&gt;</p>",
        "reply_to": None,
    }
    assert rendered["email"] | expected == rendered["email"]
    assert rendered["webhook"] == {"type": "note.sent", "payload": {"name": "<Ann>"}}
    assert await rows() == before


async def test_preview_says_what_would_fail(quiet: System) -> None:
    answer = await quiet.call("POST", "/templates/note/preview", {})
    assert answer.body["rendered"].keys() == {"webhook"}
    assert answer.body["errors"]["sms"] == {
        "reason": "undefined_variable",
        "detail": "sms.body: 'name' is undefined",
        "line": 1,
        "column": 7,
        "origin": None,
    }


async def test_preview_of_an_older_version(quiet: System) -> None:
    await quiet.template(content("one"), "aged")
    await quiet.call("PUT", "/templates/aged", {"content": content("two")})
    for version, text in ((1, "one"), (2, "two"), (2.0, "two"), (None, "two")):
        answer = await quiet.call("POST", "/templates/aged/preview", {"version": version})
        assert answer.body["rendered"]["email"]["text"] == text
    answer = await quiet.call("POST", "/templates/aged/preview", {"version": 3})
    assert_problem(answer, Code.NOT_FOUND)
    for wrong in (0, -1, "1", 1.5, True, 2**31):
        answer = await quiet.call("POST", "/templates/aged/preview", {"version": wrong})
        assert_problem(answer, Code.INVALID_REQUEST, "version")


async def test_a_notification_keeps_the_version_it_was_accepted_with(
    dsn: str, tmp_path: Path
) -> None:
    async with System.run(dsn, tmp_path, working=False) as api:
        await api.template(content("version one"))
        before = await api.send({"email": "ann@example.com"})
        answer = await api.call("PUT", "/templates/note", {"content": content("version two")})
        assert answer.status == 200
        after = await api.send({"email": "ann@example.com"})
    async with System.run(dsn, tmp_path) as system:
        for notification_id, version, text in (
            (before, 1, "version one"),
            (after, 2, "version two"),
        ):
            status = await system.settled(notification_id)
            assert (status["status"], status["template_version"]) == ("delivered", version)
            assert await _kept_text(system, notification_id) == text


async def _kept_text(system: System, notification_id: str) -> str:
    """Deliveries' ids follow that of their notification."""
    (delivery,) = (await system.status(notification_id))["deliveries"]
    messages = (await system.call("GET", "/outbox")).body["messages"]
    (text,) = [
        m["content"]["text"] for m in messages if m["delivery_id"] == delivery["delivery_id"]
    ]
    assert isinstance(text, str)
    return text


async def test_a_template_in_liquid_from_saving_to_delivery(system: System) -> None:
    text = "{% for one in lines %}{{ one | upcase }} {% endfor %}{{ total | money: 'EUR' }}"
    body = {"engine": "liquid", "content": {"email": {"subject": "Hi", "text": text}}}
    made = await system.call("POST", "/templates", {"id": "liquid", **body})
    assert (made.status, made.body["engine"]) == (201, "liquid")
    used = (await system.call("GET", "/templates/liquid/variables")).body["derived"]
    assert used["required"] == ["lines", "total"]
    recipient = {"email": "ann@example.com", "locale": "de"}
    data = {"lines": ["a", "b"], "total": 9.5}
    sent = await system.send(recipient, data=data, template_id="liquid")
    assert (await system.settled(sent))["status"] == "delivered"
    assert await _kept_text(system, sent) == "A B 9,50\xa0€"
    wrong = {**body, "content": {"sms": {"body": "x\n{{ y | upper }}"}}}
    answer = await system.call("PUT", "/templates/liquid", wrong)
    assert_problem(answer, Code.INVALID_TEMPLATE, "content.sms.body")
    [error] = answer.body["errors"]
    assert (error["line"], error["column"]) == (2, 8)
    other = await system.call("PUT", "/templates/liquid", {**wrong, "engine": "jinja"})
    assert other.body["version"] == 2
    differs = (await system.call("GET", "/templates/liquid/diff?before=1&after=2")).body
    changed = {one["path"]: (one["before"], one["after"]) for one in differs["changes"]}
    assert changed["engine"] == ("liquid", "jinja")


async def test_an_update_reaches_the_caches_of_other_apis(dsn: str, tmp_path: Path) -> None:
    async with (
        System.run(dsn, tmp_path, working=False) as one,
        System.run(dsn, tmp_path, working=False) as two,
    ):
        await one.template(content())
        assert (await _version_used(two)) == 1  # now it is in the other's cache
        for version in (2, 3):
            await one.call("PUT", "/templates/note", {"content": content(f"v{version}")})
            assert (await _version_used(one)) == version  # in its own at once
            async with asyncio.timeout(20):
                while (await _version_used(two)) != version:
                    pass  # the notice has not arrived yet


async def test_a_change_made_while_nobody_listened_is_seen(dsn: str, tmp_path: Path) -> None:
    """After its connection broke, a listener forgets all: what was said meanwhile was missed."""
    async with System.run(dsn, tmp_path, working=False) as system:
        await system.template(content())
        connection = await asyncpg.connect(dsn)
        await connection.execute("ALTER TABLE templates DISABLE TRIGGER ALL")
        newest = await _version_used(system)
        while await _version_used(system) == newest:
            newest = await _bump(connection)
            if await _version_used(system) != newest:
                break  # nobody told, so it is not seen; before, the notice of its creation came late
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'tidings listener' AND datname = current_database()"""
        )
        await connection.close()
        async with asyncio.timeout(20):
            while (used := await _version_used(system)) != newest:
                assert used < newest, "not connected again yet"


async def _bump(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """A new version that nobody is told of."""
    version: int = await connection.fetchval(
        "UPDATE templates SET current_version = current_version + 1 RETURNING current_version"
    )
    await connection.execute(
        """INSERT INTO template_versions (template_id, version, name, category, on_unknown, content)
           SELECT template_id, $1, name, category, on_unknown, content FROM template_versions
           WHERE version = 1""",
        version,
    )
    return version


async def _version_used(system: System) -> int:
    notification_id = await system.send({"email": "ann@example.com"})
    version: int = (await system.status(notification_id))["template_version"]
    return version


async def test_null_members_of_a_payload_are_kept(quiet: System) -> None:
    payload = {"a": None, "b": [None, {"c": None}], "d": 1.5, "e": True, "f": ""}
    await quiet.template({"webhook": {"payload": payload}}, "nulls")
    stored = (await quiet.call("GET", "/templates/nulls")).body["content"]
    assert stored == {"webhook": {"payload": payload}}
    answer = await quiet.call("POST", "/templates/nulls/preview", {})
    assert answer.body["rendered"]["webhook"]["payload"] == payload


async def test_on_unknown_of_the_template_and_of_the_send(quiet: System) -> None:
    await quiet.template(content(), "careful", on_unknown="hold")
    connection = await asyncpg.connect(quiet.dsn)
    cases: list[tuple[dict[str, Any], str]] = [({}, "hold"), ({"on_unknown": "resend"}, "resend")]
    for more, expected in cases:
        notification_id = await quiet.send(
            {"email": "ann@example.com"}, template_id="careful", **more
        )
        stored = await connection.fetchval(
            "SELECT on_unknown FROM notifications WHERE id = $1", notification_id
        )
        assert stored == expected
    await connection.close()


LANGUAGES: dict[str, Any] = {
    "de": {"email": {"subject": "Hallo", "html": "<p>{{ price | money('EUR') }}</p>"}},
    "ar": {"email": {"subject": "مرحبا", "html": "<html><body>س</body></html>"}},
}
MANY: dict[str, Any] = {
    "content": {
        "email": {"subject": "Hello", "html": "<p>{{ price | money('EUR') }}</p>"},
        "sms": {"body": "Hello"},
    },
    "locale": "en",
    "locales": LANGUAGES,
}


async def test_each_recipient_reads_the_nearest_language(quiet: System) -> None:
    assert (await quiet.call("POST", "/templates", {"id": "many", **MANY})).status == 201
    expected = {
        "de-AT": ("Hallo", '<div lang="de" dir="ltr"><p>€\xa09,50</p></div>'),
        "de": ("Hallo", '<div lang="de" dir="ltr"><p>9,50\xa0€</p></div>'),
        "ar-EG": ("مرحبا", '<html lang="ar" dir="rtl"><body>س</body></html>'),
        "fr": ("Hello", '<div lang="en" dir="ltr"><p>€9.50</p></div>'),
    }
    for locale, (subject, html) in expected.items():
        body = {"data": {"price": 9.5}, "recipient": {"locale": locale}}
        answer = await quiet.call("POST", "/templates/many/preview", body)
        email = answer.body["rendered"]["email"]
        assert (email["subject"], email["html"]) == (subject, html)
        assert answer.body["rendered"]["sms"]["body"] == "Hello"
        assert answer.body["sms"] == {"encoding": "gsm7", "units": 5, "parts": 1}


async def test_missing_translations_are_listed(quiet: System) -> None:
    body = {"id": "missing", **MANY, "locales": {**LANGUAGES, "de-AT": {"sms": {"body": "Servus"}}}}
    assert (await quiet.call("POST", "/templates", body)).status == 201
    answer = await quiet.call("GET", "/templates/missing/translations", role=Role.VIEWER)
    assert answer.body == {
        "id": "missing",
        "version": 1,
        "locale": "en",
        "missing": {"ar": ["sms.body"], "de": ["sms.body"], "de-AT": []},
    }


@pytest.mark.parametrize(
    ("more", "path", "where"),
    [
        ({"de": {"sms": {"body": "a\nb {{ x|nofilter }}"}}}, "locales.de.sms.body", (2, 8)),
        ({"DE_at": {"sms": {"body": "{% if %}"}}}, "locales.de-AT.sms.body", (1, 1)),
        (
            {"de": {"email": {"subject": "s", "html": "<p>{{ x|nofilter }}"}}},
            "locales.de.email.html",
            (1, 9),
        ),
    ],
)
async def test_a_mistake_in_a_language_is_told_with_its_place(
    quiet: System, rows: Rows, more: dict[str, Any], path: str, where: tuple[int, int]
) -> None:
    before = await rows()
    answer = await quiet.call("POST", "/templates", {"id": "wrong", **MANY, "locales": more})
    assert_problem(answer, Code.INVALID_TEMPLATE, path)
    (error,) = answer.body["errors"]
    assert (error["line"], error["column"]) == where
    assert (error["channel"], error["locale"]) == (path.split(".")[2], path.split(".")[1])
    assert await rows() == before


@pytest.mark.parametrize(
    "locales",
    [{"german": MANY["content"]}, {"de": {"chat": {"body": "x"}}}, {"de": {}}, {"de": None}],
)
async def test_languages_that_are_none(quiet: System, rows: Rows, locales: dict[str, Any]) -> None:
    before = await rows()
    answer = await quiet.call("POST", "/templates", {"id": "wrong", **MANY, "locales": locales})
    assert_problem(answer, Code.INVALID_REQUEST)
    assert await rows() == before


async def test_drafts_are_used_when_they_are_published(system: System) -> None:
    async def used() -> str:
        preview = await system.call("POST", "/templates/note/preview", {})
        text: str = preview.body["rendered"]["email"]["text"]
        return text

    await system.template(content("one"))
    draft = await system.call("PUT", "/templates/note", {"content": content("two"), "draft": True})
    assert (draft.body["version"], draft.body["published_at"]) == (2, None)
    assert (await used(), await _version_used(system)) == ("one", 1)
    published = await system.call("POST", "/templates/note/publish", {"version": 2})
    assert published.body["published_at"] is not None
    assert (await used(), await _version_used(system)) == ("two", 2)
    await system.call("POST", "/templates/note/publish", {"version": 1})
    assert (await used(), await _version_used(system)) == ("one", 1)
    third = await system.call("PUT", "/templates/note", {"content": content("three")})
    assert (third.body["version"], await _version_used(system)) == (3, 3)
    answer = await system.call("GET", "/templates/note/versions")
    assert (answer.body["current_version"], answer.body["latest_version"]) == (3, 3)
    assert [one["version"] for one in answer.body["versions"]] == [3, 2, 1]
    missing = await system.call("POST", "/templates/note/publish", {"version": 4})
    assert_problem(missing, Code.NOT_FOUND)


async def test_a_template_with_only_a_draft_sends_nothing(system: System) -> None:
    body = {"id": "note", "content": content("one"), "draft": True}
    assert (await system.call("POST", "/templates", body)).status == 201
    send = {"template_id": "note", "recipient": {"email": "ann@example.com"}}
    assert_problem(await system.call("POST", "/notifications/send", send), Code.UNKNOWN_TEMPLATE)
    listed = (await system.call("GET", "/templates")).body["templates"]
    assert [(one["id"], one["published_at"]) for one in listed] == [("note", None)]
    await system.call("POST", "/templates/note/publish", {"version": 1})
    assert (await system.call("POST", "/notifications/send", send)).status == 202


async def test_what_is_archived_takes_nothing_new(system: System) -> None:
    await system.template(content("one"))
    archived = await system.call("POST", "/templates/note/archive")
    assert archived.body["archived_at"] is not None
    send = {"template_id": "note", "recipient": {"email": "ann@example.com"}}
    assert_problem(await system.call("POST", "/notifications/send", send), Code.UNKNOWN_TEMPLATE)
    assert (await system.call("GET", "/templates")).body["templates"] == []
    listed = (await system.call("GET", "/templates?archived=true")).body["templates"]
    assert [one["id"] for one in listed] == ["note"]
    restored = await system.call("POST", "/templates/note/restore")
    assert restored.body["archived_at"] is None
    assert (await system.call("POST", "/notifications/send", send)).status == 202


async def test_what_differs_between_versions(quiet: System) -> None:
    await quiet.template(content("same\nold"), "diffed")
    body = {**MANY, "content": content("same\nnew"), "locales": {}, "category": "billing"}
    await quiet.call("PUT", "/templates/diffed", body)
    answer = await quiet.call("GET", "/templates/diffed/diff?before=1&after=2")
    found = {one["path"]: one for one in answer.body["changes"]}
    assert set(found) == {"category", "content.email.text", "locale"}
    assert found["category"]["after"] == "billing"
    assert (
        found["content.email.text"]["diff"] == "--- v1\n+++ v2\n@@ -1,2 +1,2 @@\n same\n-old\n+new"
    )
    assert (await quiet.call("GET", "/templates/diffed/diff")).body["changes"] == []
    assert_problem(await quiet.call("GET", "/templates/none/diff"), Code.NOT_FOUND)
