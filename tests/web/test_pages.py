"""Unsubscribe with one click, and the page of a person's choices, over HTTP."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import PUBLIC, Site
from tidings.domain.channels import Channel
from tidings.store.keyring import KeyRing, Keys
from tidings.store.links import Link, open_link, seal_link
from tidings.web.languages import texts_for
from tidings.web.texts import LANGUAGES

pytestmark = pytest.mark.anyio


async def suppressions(site: Site, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        await site.system.call("GET", f"/suppressions?address={address}")
    ).body["suppressions"]
    return found


async def test_an_email_can_be_unsubscribed_by_its_header(site: Site) -> None:
    content = await site.email({"user_id": "ann", "email": "ann@example.com"}, template_id="news")
    assert content["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert content["headers"]["List-Unsubscribe"].startswith(f"<{PUBLIC}/u/")
    assert "ann" not in content["headers"]["List-Unsubscribe"]


async def test_what_is_mandatory_has_no_such_header(site: Site) -> None:
    content = await site.email({"user_id": "ann", "email": "ann@example.com"}, template_id="alarm")
    assert "headers" not in content


async def test_get_shows_and_post_acts(site: Site) -> None:
    ben = {"user_id": "ben", "email": "ben@example.com"}
    path = await site.link(ben, template_id="news")
    asked = await site.visit("GET", path)
    assert asked.status == 200
    assert "Monthly &lt;news&gt;" in asked.body
    assert (await site.visit("HEAD", path)).status == 200
    assert (await site.preferences("ben"))["categories"] == {}
    # As a mail program does it (RFC 8058, 3.2).
    for _ in range(2):
        done = await site.visit("POST", path, "List-Unsubscribe=One-Click")
        assert (done.status, "You are unsubscribed" in done.body) == (200, True)
    assert (await site.preferences("ben"))["categories"] == {"news": {"email": False}}
    history = (await site.system.call("GET", "/users/ben/preferences/history")).body["changes"]
    assert [one["source"] for one in history] == ["unsubscribe"]
    again = await site.system.send(
        ben, {"name": "n"}, template_id="news", channel_preferences=["email"]
    )
    (delivery,) = (await site.system.settled(again))["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("skipped", "preference_off")
    assert (await site.visit("POST", f"{path}/undo", "")).status == 200
    assert (await site.preferences("ben"))["categories"] == {"news": {"email": True}}


async def test_an_address_without_a_user_is_remembered(site: Site) -> None:
    path = await site.link({"email": "Cleo@example.com"}, template_id="news")
    assert await suppressions(site, "cleo@example.com") == []
    assert (await site.visit("POST", path, "")).status == 200
    (entry,) = await suppressions(site, "cleo@example.com")
    assert (entry["reason"], entry["category"]) == ("unsubscribed", "news")
    # Other categories still reach it, and what is mandatory does in any case.
    await site.email({"email": "cleo@example.com"}, template_id="note")
    everything = urlencode([("shown", "email ")])
    saved = await site.visit("POST", f"{path}/preferences", everything)
    assert "Your choices are saved." in saved.body
    assert {one["category"] for one in await suppressions(site, "cleo@example.com")} == {
        None,
        "news",
    }
    await site.email({"email": "cleo@example.com"}, template_id="alarm")
    refused = await site.system.send({"email": "cleo@example.com"}, {"name": "n"})
    (delivery,) = (await site.system.settled(refused))["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("suppressed", "address_suppressed")
    assert (await site.visit("POST", f"{path}/undo", "")).status == 200
    assert [one["category"] for one in await suppressions(site, "cleo@example.com")] == [None]


def boxes(html: str) -> dict[str, bool]:
    """Of each box of the form, whether it is ticked."""
    found = re.findall(r'<input type="checkbox" name="on" value="([^"]*)"( checked)?>', html)
    return {value: bool(ticked) for value, ticked in found}


async def test_the_page_of_all_choices(site: Site) -> None:
    path = await site.link({"user_id": "dan", "email": "dan@example.com"}, template_id="news")
    page = await site.visit("GET", f"{path}/preferences")
    assert page.status == 200
    shown = boxes(page.body)
    assert all(shown.values())
    assert {"email ", "email news", "sms transactional", "push news"} <= shown.keys()
    assert not [value for value in shown if "security" in value or "webhook" in value]
    assert "Always sent" in page.body
    form = [("shown", value) for value in shown]
    form += [("on", value) for value in shown if value not in {"sms ", "email news"}]
    saved = await site.visit("POST", f"{path}/preferences", urlencode(form))
    # To where it is shown again: reloading it does not send the form again.
    assert "Your choices are saved." in saved.body
    after = await site.visit("GET", f"{path}/preferences")
    assert "Your choices are saved." not in after.body
    off = {value for value, ticked in boxes(after.body).items() if not ticked}
    assert off == {"sms ", "email news"}
    stored = await site.preferences("dan")
    # Only what was changed is chosen: the rest follows the categories' defaults, as before.
    assert (stored["channels"], stored["categories"]) == (
        {"sms": False},
        {"news": {"email": False}},
    )
    history = (await site.system.call("GET", "/users/dan/preferences/history")).body["changes"]
    assert [one["source"] for one in history] == ["page"]


async def test_what_the_page_did_not_show_cannot_be_changed_by_it(site: Site) -> None:
    path = await site.link({"user_id": "eve", "email": "eve@example.com"}, template_id="news")
    before = await site.preferences("eve")
    made_up = [("shown", "email security"), ("shown", "webhook news"), ("shown", "x"), ("on", "y")]
    assert (await site.visit("POST", f"{path}/preferences", urlencode(made_up))).status == 200
    assert await site.preferences("eve") == before
    many = "&".join(f"shown={number}" for number in range(6_000))
    assert (await site.visit("POST", f"{path}/preferences", many)).status == 400


async def test_only_what_is_changed_of_the_times_is_chosen(site: Site) -> None:
    await site.system.call(
        "PUT", "/users/ned", {"email": "ned@example.com", "timezone": "Asia/Calcutta"}
    )
    path = await site.link({"user_id": "ned"}, template_id="news")
    before = await site.preferences("ned")
    page = (await site.visit("GET", f"{path}/preferences")).body
    assert '<option value="Asia/Kolkata" selected>Kolkata (India)</option>' in page
    form = {
        "times": "shown",
        "often social": "at_once",
        "digest_at": "09:00",
        "digest_day": "0",
        "quiet_from": "22:00",
        "quiet_to": "07:00",
        "zone": "Asia/Kolkata",
    }
    wrong = {
        "often social": "often",
        "often security": "daily",
        "digest_at": "9 o'clock",
        "digest_day": "7",
        "zone": "Mars/Olympus",
    }
    for sent in (form, form | wrong, form | {"zone": "../etc/passwd", "quiet_day": "x"}):
        assert (await site.visit("POST", f"{path}/preferences", urlencode(sent))).status == 200
        assert await site.preferences("ned") == before
        user = (await site.system.call("GET", "/users/ned")).body
        assert user["timezone"] == "Asia/Calcutta"
    gone = {name: value for name, value in form.items() if name != "zone"}
    assert (await site.visit("POST", f"{path}/preferences", urlencode(gone))).status == 200
    assert (await site.system.call("GET", "/users/ned")).body["timezone"] is None


@pytest.mark.parametrize(
    "hours",
    [
        {"quiet_from": "22:00", "quiet_to": "22:00", "quiet_day": "1"},
        {"quiet_from": "22:00", "quiet_to": "25:00", "quiet_day": "1"},
        {"quiet_from": "22:00", "quiet_day": "1"},
        {"quiet_from": "22:00", "quiet_to": "07:00"},
        {"quiet_from": "22:00", "quiet_to": "07:00", "quiet_day": "8"},
    ],
)
async def test_what_are_no_quiet_hours_is_said_and_not_saved(
    site: Site, hours: dict[str, str]
) -> None:
    path = await site.link({"user_id": "ora", "email": "ora@example.com"}, template_id="news")
    form = {"times": "shown", "quiet": "on", "shown": "email news", **hours}
    answer = await site.visit("POST", f"{path}/preferences", urlencode(form))
    assert (answer.status, 'role="alert"' in answer.body) == (400, True)
    stored = await site.preferences("ora")
    assert "quiet_hours" not in stored
    assert stored["categories"] == {}


async def test_an_address_without_a_user_has_no_times_to_choose(site: Site) -> None:
    path = await site.link({"email": "pia@example.com"}, template_id="news")
    page = (await site.visit("GET", f"{path}/preferences")).body
    assert "Quiet hours" not in page
    form = {"times": "shown", "quiet": "on", "quiet_from": "1:00", "zone": "Europe/Vienna"}
    assert (await site.visit("POST", f"{path}/preferences", urlencode(form))).status == 200


async def test_bad_links_get_a_plain_page_and_change_nothing(site: Site) -> None:
    path = await site.link({"user_id": "fay", "email": "fay@example.com"}, template_id="news")
    token = path.removeprefix("/u/")
    bad = {
        "x",
        token[:-1],
        token[:40] + ("A" if token[40] != "A" else "B") + token[41:],
        token + "AAAA",
        "A" * 10_000,
        "%00%ff",
    }
    for one in bad:
        for method, end in [
            ("GET", ""),
            ("POST", ""),
            ("POST", "/undo"),
            ("GET", "/preferences"),
            ("POST", "/preferences"),
        ]:
            answer = await site.visit(method, f"/u/{one}{end}", None if method == "GET" else "")
            assert answer.status == 404, (method, one)
            assert "This link does not work" in answer.body
    assert (await site.preferences("fay"))["categories"] == {}


async def test_the_pages_keep_their_address_to_themselves(site: Site) -> None:
    path = await site.link({"user_id": "gus", "email": "gus@example.com"}, template_id="news")
    for one in (path, f"{path}/preferences", "/u/x"):
        answer = await site.visit("GET", one)
        policy = answer.headers("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers("referrer-policy") == "no-referrer"
        assert answer.headers("cache-control") == "no-store"
        assert "<script" not in answer.body


async def test_in_the_users_language_then_the_browsers(site: Site) -> None:
    await site.system.call("PUT", "/users/hal", {"email": "hal@example.com", "locale": "de-AT"})
    path = await site.link({"user_id": "hal"}, template_id="news")
    page = await site.visit("GET", path, accept_language="fr")
    assert "Abmelden" in page.body
    assert '<html lang="de" dir="ltr">' in page.body
    other = await site.link({"user_id": "ida", "email": "ida@example.com"}, template_id="news")
    page = await site.visit("GET", other, accept_language="ja, ar-EG;q=0.9, fr;q=0.5")
    assert '<html lang="ar" dir="rtl">' in page.body


async def test_the_body_of_a_message_can_have_the_links(site: Site) -> None:
    content = {"email": {"subject": "x", "text": "{{ unsubscribe_url }} {{ preferences_url }}"}}
    await site.system.template(content, "linked", category="news")
    text = (await site.email({"email": "jo@example.com"}, template_id="linked"))["text"]
    unsubscribe, preferences = text.split()
    assert preferences == f"{unsubscribe}/preferences"
    assert (await site.visit("GET", unsubscribe.removeprefix(PUBLIC))).status == 200


# ---------------------------------------------------------------- links by themselves

KEYRING = KeyRing(Keys.generate())
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LINK = Link("ann", Channel.EMAIL, "", "news", NOW + timedelta(days=1))


def test_a_link_works_until_it_expires() -> None:
    token = seal_link(LINK, KEYRING)
    assert open_link(token, KEYRING, NOW) == LINK
    assert open_link(token, KEYRING, LINK.expires_at) is None
    assert open_link(token, KeyRing(Keys.generate()), NOW) is None
    assert open_link(token, KeyRing(KEYRING.keys.rotated()), NOW) == LINK


@given(st.text(max_size=300))
def test_no_text_is_a_link(text: str) -> None:
    assert open_link(text, KEYRING, NOW) is None


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_link_is_one(place: int, change: int) -> None:
    token = seal_link(LINK, KEYRING)
    at = place % len(token)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[(alphabet.index(token[at]) + change) % 64]
    changed = token[:at] + other + token[at + 1 :]
    # The last character of unpadded Base64 may have bits that count for nothing.
    assert (
        open_link(changed, KEYRING, NOW) in ({None} if at < len(token) - 1 else {None, LINK})
        or other == token[at]
    )


@pytest.mark.parametrize(
    ("locale", "accepted", "language"),
    [
        (None, "", "en"),
        ("pt-BR", "", "en"),
        ("fr-CA", "de", "fr"),
        ("xx", "de-CH;q=0.1, es;q=0.9", "es"),
        (None, "de;q=0, it;q=nonsense, ar", "ar"),
        (None, ";;;,=,q=1" * 100, "en"),
    ],
)
def test_which_language(locale: str | None, accepted: str, language: str) -> None:
    assert texts_for(locale, accepted).language == language


def test_every_language_says_everything() -> None:
    english = LANGUAGES["en"]
    for texts in LANGUAGES.values():
        assert texts.channels.keys() == english.channels.keys()
        for name in english.__dataclass_fields__:
            said, model = getattr(texts, name), getattr(english, name)
            if isinstance(model, dict):
                assert said.keys() == model.keys()
            elif isinstance(model, str) and name != "language":
                assert said
                assert set(re.findall(r"{\w+}", said)) == set(re.findall(r"{\w+}", model)), name


async def test_who_sends_a_form_slowly_keeps_no_connection_of_the_database(site: Site) -> None:
    """One good link would be enough to keep them all, and the whole API waiting."""
    path = await site.link({"user_id": "slow", "email": "slow@example.com"}, template_id="news")
    url = urlsplit(site.system.url)
    head = f"POST {path}/preferences HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-length: 100\r\n\r\nshown="
    slow = []
    for _ in range(2 * site.system.settings.database_pool):
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(head.encode())
        await writer.drain()
        slow.append(writer)
    try:
        for _ in range(3):
            async with asyncio.timeout(20):
                assert (await site.system.call("GET", "/templates")).status == 200
                assert (await site.visit("GET", f"{path}/preferences")).status == 200
    finally:
        for writer in slow:
            writer.close()
