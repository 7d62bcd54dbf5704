"""Pictures of all emails, to look at: `python -m examples.branded.look FOLDER`.

One picture for each language, width (600 and 375 pixels) and colour scheme, with five emails side by side. It needs
Playwright and Chromium.
"""

import html
import shutil
import sys
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from examples.branded import editions
from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of

LANGUAGES = ("en", "de", "ar")
WIDTHS = (600, 375)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_SIDE_BY_SIDE = 5
_GAP = 16


def emails(language: str) -> Iterator[str]:
    """The HTML of each template's example."""
    recipient = {"user_id": "u", "locale": language, "timezone": "Europe/Berlin"}
    links = {"unsubscribe_url": "https://x.example/u", "preferences_url": "https://x.example/p"}
    for edition in editions(Path(__file__).parent):
        render = compile_edition(edition.name, edition)[Channel.EMAIL]
        content = render(context_of(edition.sample or {}, recipient, links))
        assert isinstance(content, EmailContent)
        yield content.html or ""


def sheet(documents: tuple[str, ...], width: int) -> str:
    frames = "".join(
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(one)}"></iframe>'
        for one in documents
    )
    return (
        f'<body style="margin:{_GAP}px;display:flex;gap:{_GAP}px;background:#888">{frames}</body>'
    )


def look(browser: Browser, folder: Path) -> Iterator[Path]:
    for language, width, scheme in product(LANGUAGES, WIDTHS, SCHEMES):
        wide = (width + _GAP + 6) * _SIDE_BY_SIDE + _GAP
        context = browser.new_context(color_scheme=scheme, viewport={"width": wide, "height": 940})
        left, number = emails(language), 0
        while documents := tuple(islice(left, _SIDE_BY_SIDE)):
            number += 1
            page = context.new_page()
            page.set_content(sheet(documents, width))
            path = folder / f"{language}-{width}-{scheme}-{number}.png"
            page.screenshot(path=path, full_page=True)
            page.close()
            yield path
        context.close()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for path in look(browser, folder):
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
