"""The example page with its backend in a real browser, in two tabs."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.docs.desk import free_port
from tests.docs.pages import ROOT
from tests.support.system import System
from tidings.store.api_keys import Role

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
        "NO BROWSER: install the package chromium to test the page", allow_module_level=True
    )

PICTURES = os.environ.get("PAGE_PICTURES")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"]
        )
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def backend(system: System, port: int) -> AsyncIterator[str]:
    """The example as its reader starts it; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples/inbox/backend.py"),
        str(port),
        env={
            **os.environ,
            "TIDINGS_URL": system.url,
            "TIDINGS_API_KEY": system.keys[Role.ADMIN],
            "NO_PROXY": "127.0.0.1",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert b"Open" in await process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def tab(context: BrowserContext, url: str) -> Page:
    """Fails the test for whatever the browser complains of."""
    page = await context.new_page()
    page.on("console", lambda message: pytest.fail(message.text))
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    await page.goto(url)
    await expect(page.get_by_role("status")).to_have_text("Live")
    return page


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png")


async def test_two_tabs(browser: Browser, dsn: str, tmp_path: Path) -> None:
    port = free_port()
    origins = {"origins": [f"http://127.0.0.1:{port}"]}
    async with (
        System.run(dsn, tmp_path, inbox=origins) as system,
        backend(system, port) as url,
    ):
        context = await browser.new_context(viewport={"width": 1100, "height": 720})
        one, two = await tab(context, url), await tab(context, url)
        bells = [page.get_by_role("button", name="Notifications") for page in (one, two)]
        await bells[1].click()
        await expect(two.get_by_text("All caught up")).to_be_visible()
        await picture(two, "inbox-empty")
        # What is sent shows up in both, though neither asks.
        for name in ("Someone mentions you", "A ship comes in", "An invoice is paid"):
            await one.get_by_role("button", name=name).click()
        for page in (one, two):
            await expect(page.locator("#badge")).to_have_text("3")
            await expect(page).to_have_title("(3) Harbour")
        await expect(one.locator(".toast")).to_have_count(3)
        await expect(two.locator(".toast")).to_have_count(0)  # its panel is open
        await expect(two.locator("li.unread")).to_have_count(3)
        await picture(one, "inbox-toasts")
        await bells[0].click()
        await picture(one, "inbox-open")
        # What is read in one is read in the other.
        await one.get_by_role("button", name="The Aurora has docked").first.click()
        for page in (one, two):
            await expect(page.locator("#badge")).to_have_text("2")
            await expect(page.locator("li", has_text="Aurora")).not_to_have_class("unread")
            await expect(page.locator("li.unread")).to_have_count(2)
        await picture(two, "inbox-read")
        await two.get_by_role("button", name="Archive: Grace mentioned you").click()
        for page in (one, two):
            await expect(page.locator("li")).to_have_count(2)
            await expect(page.locator("#badge")).to_have_text("1")
        await one.get_by_role("button", name="Mark all as read").click()
        for page in (one, two):
            await expect(page.locator("#badge")).to_be_hidden()
            await expect(page).to_have_title("Harbour")
        counters = (await system.call("GET", "/users/ada/inbox/unread_count")).body
        assert (counters["unread"], counters["unseen"], counters["total"]) == (0, 0, 2)


async def test_a_connection_that_breaks(browser: Browser, dsn: str, tmp_path: Path) -> None:
    """What came meanwhile is there when it is back, and an entry that is there does not come twice."""
    port = free_port()
    origins = {"origins": [f"http://127.0.0.1:{port}"], "token_lifetime": 10}
    async with (
        System.run(dsn, tmp_path, inbox=origins) as system,
        backend(system, port) as url,
    ):
        context = await browser.new_context(
            color_scheme="dark", viewport={"width": 390, "height": 760}
        )
        page = await context.new_page()
        await page.goto(url)
        status = page.get_by_role("status")
        await expect(status).to_have_text("Live")
        for name in ("Someone mentions you", "A ship comes in"):
            await page.get_by_role("button", name=name).click()
        await expect(page.locator("#badge")).to_have_text("2")
        # The token runs out, and the page gets another one by itself, once it is given one.
        await page.route("**/token", lambda route: route.abort())
        await expect(status).to_have_text("Connecting", timeout=20_000)
        await system.call(
            "POST",
            "/notifications/send",
            {
                "template_id": "inbox_example",
                "recipient": {"user_id": "ada"},
                "data": {"title": "Meanwhile", "body": "b"},
            },
        )
        await page.unroute("**/token")
        await expect(status).to_have_text("Live", timeout=20_000)
        await expect(page.locator("#badge")).to_have_text("3")
        await page.get_by_role("button", name="Notifications").click()
        await expect(page.locator("li")).to_have_count(3)
        await picture(page, "inbox-phone-dark")
