"""The language of HTML and the direction in which it is read, said in the HTML."""

import re

from tidings.rendering.formatting import direction

_ROOT = re.compile(r"<html\b(?P<attributes>[^>]*)>", re.IGNORECASE)
_SAYS_LANGUAGE = re.compile(r"\blang\s*=", re.IGNORECASE)
_SAYS_DIRECTION = re.compile(r"\bdir\s*=", re.IGNORECASE)


def marked(html: str, locale: str | None) -> str:
    """The HTML with `lang` and `dir`: on its root, or on a `<div>` around it where it has none. What an
    editor has said of it stays. It keeps its lines, so that mistakes are told where they are."""
    if locale is None:
        return html
    root = _ROOT.search(html)
    if root is None:
        return f'<div lang="{locale}" dir="{direction(locale)}">{html}</div>'
    attributes = root["attributes"]
    said = "" if _SAYS_LANGUAGE.search(attributes) else f' lang="{locale}"'
    said += "" if _SAYS_DIRECTION.search(attributes) else f' dir="{direction(locale)}"'
    at = root.start("attributes")
    return f"{html[:at]}{said}{html[at:]}"
