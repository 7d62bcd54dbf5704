"""How the pages look: templates, and the header fields that keep them to themselves."""

import base64
import hashlib
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from tidings.web.texts import Texts


class Looks:
    """name: who writes to people; stands at the head of each page."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._templates = Environment(
            loader=PackageLoader("tidings.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        loader = self._templates.loader
        assert loader is not None
        self._style, _, _ = loader.get_source(self._templates, "style.css")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self._headers = {
            # No script, nothing from elsewhere, and nobody may put it into a frame to catch clicks.
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'",
            # The address of the page is the key to it.
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex, nofollow",
            "X-Content-Type-Options": "nosniff",
        }

    def page(self, template: str, texts: Texts, *, status: int = 200, **shown: Any) -> HTMLResponse:
        html = self._templates.get_template(template).render(
            name=self._name, style=self._style, texts=texts, **shown
        )
        headers = {**self._headers, "Content-Language": texts.language}
        return HTMLResponse(html, status, headers)
