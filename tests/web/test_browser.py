"""The pages in a real browser: with and without scripts, on a phone, dark and light, by keyboard.

Chromium comes from the system (`scripts/setup` says how). Where it is missing, these are skipped, and say so.
"""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.web.conftest import Site

pytestmark = pytest.mark.anyio

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
if CHROMIUM is None:
    pytest.skip(
        "NO BROWSER: install the package chromium to test the pages", allow_module_level=True
    )

# Where to put pictures of the pages for people to look at.
PICTURES = os.environ.get("PAGE_PICTURES")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # The sandbox needs rights that a container does not have; the pages are our own.
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"]
        )
        yield browser
        await browser.close()


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def opened(site: Site, browser: Browser) -> Open:
    async def open_page(path: str, *, refused: bool = False, **options: Any) -> Page:
        """Fails the test for whatever the browser complains of. refused: but not for a form that is sent back."""

        def complain(message: str) -> None:
            if not (refused and "400 (Bad Request)" in message):
                pytest.fail(message)

        context = await browser.new_context(base_url=site.system.url, **options)
        page = await context.new_page()
        page.on("console", lambda message: complain(message.text))
        page.on("requestfailed", lambda request: pytest.fail(request.url))
        answer = await page.goto(path)
        assert answer is not None
        return page

    return open_page


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


async def fits(page: Page) -> bool:
    """Nothing is beyond the edge of the screen."""
    found: bool = await page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return found


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
async def test_unsubscribe_and_choose(site: Site, opened: Open, scripts: bool) -> None:
    user = f"browser-{scripts}".lower()
    path = await site.link({"user_id": user, "email": "b@example.com"}, template_id="news")
    page = await opened(path, java_script_enabled=scripts)
    await picture(page, "ask")
    await page.get_by_role("button", name="Unsubscribe").click()
    assert await page.get_by_role("status").inner_text() == (
        "You will get no more “Monthly <news>” by this channel: Email."
    )
    await picture(page, "done")
    assert (await site.preferences(user))["categories"] == {"news": {"email": False}}
    await page.get_by_role("link", name="All my choices").click()
    news = page.get_by_role("group", name="Monthly <news>")
    assert not await news.get_by_label("Email").is_checked()
    await news.get_by_label("Email").check()
    await news.get_by_label("Text message").uncheck()
    await (
        page.get_by_role("group", name="All notifications")
        .get_by_label("Push notification")
        .uncheck()
    )
    await page.get_by_role("button", name="Save").click()
    assert await page.get_by_role("status").inner_text() == "Your choices are saved."
    await picture(page, "saved")
    stored = await site.preferences(user)
    assert stored["channels"] == {"push": False}
    assert stored["categories"] == {"news": {"email": True, "sms": False}}
    await page.reload()
    assert not await news.get_by_label("Text message").is_checked()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
async def test_choose_when(site: Site, opened: Open, scripts: bool) -> None:
    user = f"when-{scripts}".lower()
    await site.system.call("PUT", f"/users/{user}", {"email": "w@example.com"})
    path = await site.link({"user_id": user}, template_id="news")
    page = await opened(f"{path}/preferences", refused=True, java_script_enabled=scripts)
    social = page.get_by_role("group", name="Social")
    await social.get_by_label("How often").select_option("Every week")
    await page.get_by_label("Weekly ones on").select_option("Friday")
    await page.get_by_label("Time", exact=True).fill("18:30")
    quiet = page.get_by_role("group", name="Quiet hours")
    assert not await quiet.get_by_label("From").is_visible()
    await quiet.get_by_label("Do not disturb me").check()
    await quiet.get_by_label("From").fill("21:15")
    await quiet.get_by_label("To", exact=True).fill("06:45")
    await quiet.get_by_label("Saturday").uncheck()
    await page.get_by_label("Time zone").last.select_option("Vienna (Austria)")
    await page.get_by_role("button", name="Save").click()
    assert await page.get_by_role("status").inner_text() == "Your choices are saved."
    await picture(page, "times")
    stored = await site.preferences(user)
    assert stored == {
        "channels": {},
        "categories": {},
        "quiet_hours": {
            "from": "21:15",
            "to": "06:45",
            "days": ["monday", "tuesday", "wednesday", "thursday", "friday", "sunday"],
        },
        "digests": {"social": "weekly"},
        "digest_time": {"at": "18:30", "weekday": "friday"},
    }
    profile = (await site.system.call("GET", f"/users/{user}")).body
    assert (profile["timezone"], profile["email"]) == ("Europe/Vienna", "w@example.com")
    await quiet.get_by_label("To", exact=True).fill("21:15")
    await social.get_by_label("Email").uncheck()
    await page.get_by_role("button", name="Save").click()
    assert "Nothing was saved." in await page.get_by_role("alert").inner_text()
    await picture(page, "times-wrong")
    assert await site.preferences(user) == stored
    # What was typed is still there to be put right.
    assert not await social.get_by_label("Email").is_checked()
    await quiet.get_by_label("Do not disturb me").uncheck()
    await page.get_by_role("button", name="Save").click()
    assert await page.get_by_role("status").inner_text() == "Your choices are saved."
    after = await site.preferences(user)
    assert after.get("quiet_hours") is None
    assert after["categories"] == {"social": {"email": False}}


LOOKS = [
    ("en", 1200, "light"),
    ("en", 375, "light"),
    ("de", 375, "dark"),
    ("fr", 320, "light"),
    ("es", 375, "dark"),
    ("it", 375, "light"),
    ("ar", 375, "light"),
    ("ar", 1200, "dark"),
]


@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
async def test_it_fits_every_screen_and_language(
    site: Site, opened: Open, language: str, width: int, scheme: str
) -> None:
    user = f"look-{language}"
    await site.system.call("PUT", f"/users/{user}", {"email": "l@example.com", "locale": language})
    path = await site.link({"user_id": user}, template_id="news")
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    for name in ("", "/preferences"):
        page = await opened(f"{path}{name}", **options)
        if name:
            await page.locator('[name="quiet"]').check()
        await picture(page, f"look{name.replace('/', '-')}-{language}-{width}-{scheme}")
        assert await fits(page)
        assert await page.get_attribute("html", "lang") == language
        boxes = await page.locator("label:visible, button").all()
        heights = [box["height"] for one in boxes if (box := await one.bounding_box())]
        assert heights
        assert min(heights) >= 44  # what a finger hits


async def test_everything_is_reached_by_keyboard(site: Site, opened: Open) -> None:
    path = await site.link({"user_id": "keys", "email": "k@example.com"}, template_id="news")
    page = await opened(f"{path}/preferences")
    reached: list[str] = []
    while not reached or reached[-1] != "BUTTON":
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate("document.activeElement.name || document.activeElement.tagName")
        )
        if reached[-1] == "on":
            await page.keyboard.press("Space")
    assert {"often social", "digest_at", "digest_day", "quiet", "zone"} <= set(reached)
    await page.keyboard.press("Enter")
    await page.get_by_role("status").wait_for()
    assert await page.locator('[name="on"]').count() == reached.count("on") > 4
    assert await page.locator('[name="on"]:checked').count() == 0


async def test_a_link_that_does_not_work(opened: Open, browser: Browser, site: Site) -> None:
    context = await browser.new_context(base_url=site.system.url, locale="de-DE")
    page = await context.new_page()
    answer = await page.goto("/u/nonsense")
    assert answer is not None
    assert answer.status == 404
    assert await page.get_by_role("heading").inner_text() == "Dieser Link funktioniert nicht"
    await picture(page, "invalid")
