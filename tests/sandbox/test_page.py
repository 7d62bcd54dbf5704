"""The page in a real browser: what was sent appears, is looked at, and goes wrong on demand."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.sandbox.test_recipients import send, text
from tests.support.sandbox import Box

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
EVIL = """<h1>Hello</h1><p id="seen">nothing ran</p><img src="cid:logo" alt="logo">
<script>document.getElementById("seen").textContent = "a script ran"</script>
<img src="x:" onerror="document.getElementById('seen').textContent = 'a handler ran'">
<a href="javascript:top.location='about:blank'">click</a>"""
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # The sandbox needs rights that a container does not have; the pages are our own.
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"]
        )
        yield browser
        await browser.close()


@pytest.fixture
async def page(box: Box, browser: Browser) -> AsyncIterator[Page]:
    """Fails the test for whatever the page's own script does wrong."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(box.url)
    await expect(page.locator("#live")).to_have_class("on")
    yield page
    assert not errors


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"sandbox-{name}.png")


async def test_what_is_sent_appears_and_is_looked_at(box: Box, page: Page) -> None:
    await expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
    await picture(page, "empty")
    files = [
        {"Name": "bill.pdf", "ContentType": "application/pdf", "Content": "JVBERi0="},
        {"Name": "logo.gif", "ContentType": "image/gif", "Content": PIXEL, "ContentID": "cid:logo"},
    ]
    send(box, "click@example.com", Subject="Grüße <b>", HtmlBody=EVIL, Attachments=files)
    row = page.get_by_role("button", name="click@example.com")
    await expect(row).to_contain_text("Grüße <b>")
    await expect(row.locator(".badge")).to_have_text("clicked")
    await row.click()
    mail = page.frame_locator("iframe")
    await expect(mail.get_by_role("heading", name="Hello")).to_be_visible()
    await expect(mail.locator("#seen")).to_have_text("nothing ran")
    loaded = await mail.get_by_alt_text("logo").evaluate("image => image.naturalWidth")
    assert loaded == 1
    await picture(page, "mail")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="bill.pdf").click()
    assert (await (await downloading.value).path()).read_bytes() == b"%PDF-"
    await page.get_by_role("tab", name="Text").click()
    await expect(page.locator(".panel pre")).to_have_text("Hello")
    await page.get_by_role("tab", name="Source").click()
    await expect(page.locator(".panel pre")).to_contain_text('"TextBody": "Hello"')
    await page.get_by_role("tab", name="Events").click()
    await expect(page.locator(".events li .badge")).to_have_text(
        ["taken", "delivered", "opened", "clicked"]
    )
    await page.get_by_role("button", name="complained").click()
    await expect(page.locator(".events li .badge").last).to_have_text("complained")
    await expect(row.locator(".badge")).to_have_text("complained")


async def test_texts_search_and_clear(box: Box, page: Page) -> None:
    text(box, "12025550110")
    send(box, "ann@example.com", Subject="Another one")
    await expect(page.locator("#list li")).to_have_count(2)
    await page.get_by_role("button", name="sms", exact=True).click()
    await expect(page.locator("#list li")).to_have_count(1)
    await page.get_by_role("button", name="12025550110").click()
    await expect(page.locator(".bubble")).to_have_text(["Hello", "STOP"])
    await picture(page, "text")
    await page.get_by_role("button", name="all", exact=True).click()
    await page.get_by_label("Search").fill("ANOTHER")
    await expect(page.locator("#list li")).to_have_count(1)
    await page.get_by_role("button", name="Clear", exact=True).click()
    await expect(page.locator("#list li")).to_have_count(0)
    assert box.messages() == []


async def test_failures_by_hand(box: Box, page: Page) -> None:
    await page.get_by_role("button", name="Failures").click()
    share = page.get_by_label("Postmark: throttled")
    await share.fill("100")
    await share.press("Tab")
    await expect(page.locator("#broken")).to_have_text("1")
    await picture(page, "failures")
    assert send(box, "ann@example.com").status == 429
    await share.fill("200")
    await share.press("Tab")
    await expect(page.get_by_role("alert")).to_have_text("throttled is a number from 0 to 1")
    await page.get_by_role("button", name="All well again").click()
    await expect(page.locator("#broken")).to_be_hidden()
    assert send(box, "ann@example.com").status == 200


async def test_settings_and_recipients_are_told(box: Box, page: Page) -> None:
    await page.get_by_role("button", name="Settings").click()
    await expect(page.locator("#toml")).to_have_text(box.sandbox.settings)
    await page.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Magic recipients").click()
    await expect(page.get_by_role("row", name="bounce@ 5550103 is taken")).to_be_visible()
    await picture(page, "recipients")


async def test_on_a_phone(box: Box, page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 800})
    send(box, "ann@example.com", HtmlBody="<p>Hello</p>")
    await page.get_by_role("button", name="ann@example.com").click()
    await expect(page.locator("iframe")).to_be_visible()
    await picture(page, "phone")
    wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
    await page.get_by_role("button", name="Back").click()
    await expect(page.locator("#list li")).to_be_visible()


async def test_many_at_once_cost_a_page_little(box: Box, page: Page) -> None:
    """The page is told that something changed, not of each message."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sending = threading.Thread(
        target=lambda: [send(box, f"user-{number}@example.com") for number in range(200)]
    )
    sending.start()
    await asyncio.to_thread(sending.join)
    await expect(page.locator("#taken")).to_have_text("200")
    assert len([url for url in asked if url.endswith("/sandbox/messages")]) < 100
