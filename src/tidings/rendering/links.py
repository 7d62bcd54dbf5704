"""The links of rendered content, exchanged for others; everything else stays as it is, to the byte."""

import html
import re
from collections.abc import Callable
from html.entities import html5
from urllib.parse import urlsplit

Exchange = Callable[[str], str | None]
"""What to write instead of a URL; None to leave it."""

_LONGEST = 4_000

# Comments, and what browsers do not read tags in, are passed over whole; what is not closed, up to the end.
_PIECES = re.compile(
    r"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|(?P<raw>script|style|textarea|title|xmp|iframe)\b.*?(?:</(?P=raw)\b|\Z)"
    r"""|(?:a|area)(?=[\s/])(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>)""",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s"'<>/=]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'<>]+)))?"""
)
_REFERENCE = re.compile(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*;?)(=?)")
_IN_TEXT = re.compile(r"https?://[^\s<>\"'`\\^{}|]+", re.IGNORECASE)
_BEHIND = ".,;:!?…*_~"
_CLOSING = {")": "(", "]": "["}
_VISIBLE = re.compile(r"[!-~]+")

OFF = "data-tidings-track"
"""An attribute of a link: with the value "off" it stays as it is."""


def is_trackable(url: str) -> bool:
    """Whether a redirect can lead there, to exactly this: http or https, and written as URLs are, in visible ASCII."""
    if len(url) > _LONGEST or not _VISIBLE.fullmatch(url) or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def exchange_in_html(source: str, exchange: Exchange) -> str:
    """The addresses of `a` and `area` elements, but for those that say data-tidings-track="off"."""

    def piece(found: re.Match[str]) -> str:
        attributes = found["attributes"]
        if attributes is None:
            return found[0]
        at = found.start("attributes") - found.start()
        return found[0][:at] + _exchanged(attributes, exchange) + found[0][at + len(attributes) :]

    return _PIECES.sub(piece, source)


def exchange_in_text(source: str, exchange: Exchange) -> str:
    """URLs as people and programs find them in plain text."""

    def url(found: re.Match[str]) -> str:
        whole = found[0]
        if len(whole) > _LONGEST:
            return whole
        link = _trimmed(whole)
        other = exchange(link) if is_trackable(link) else None
        return whole if other is None else other + whole[len(link) :]

    return _IN_TEXT.sub(url, source)


def unescaped(value: str) -> str:
    """An attribute's value as browsers read it: a name without its semicolon is none before a letter, a digit or `=`,
    so that `?a=1&copy=2` stays what it is (HTML, 13.2.5.73)."""
    if "&" not in value:
        return value

    def character(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith("#") or name.endswith(";"):
            known = name.startswith("#") or name in html5
            return html.unescape(f"&{name}") + found[2] if known else found[0]
        return found[0] if found[2] or name not in html5 else html5[name]

    return _REFERENCE.sub(character, value)


def _exchanged(attributes: str, exchange: Exchange) -> str:
    href: re.Match[str] | None = None
    for one in _ATTRIBUTE.finditer(attributes):
        name = one["name"].lower()
        if name == "href" and href is None:  # of several, browsers take the first
            href = one
        elif name == OFF and (_value(one) or "").lower() == "off":
            return attributes
    value = href and _value(href)
    if href is None or not value:
        return attributes
    # Browsers do not mind space around it.
    url = unescaped(value).strip(" \t\n\r\f")
    other = exchange(url) if is_trackable(url) else None
    if other is None:
        return attributes
    group = _group(href)
    start, end = href.span(group)
    written = html.escape(other)
    quoted = written if group != "bare" else f'"{written}"'
    return attributes[:start] + quoted + attributes[end:]


def _group(attribute: re.Match[str]) -> str:
    return next((one for one in ("double", "single") if attribute[one] is not None), "bare")


def _value(attribute: re.Match[str]) -> str | None:
    return attribute[_group(attribute)]


def _trimmed(link: str) -> str:
    """Without the punctuation of the sentence that it stands in."""
    while link:
        last = link[-1]
        opening = _CLOSING.get(last)
        unpaired = opening is not None and link.count(last) > link.count(opening)
        if last not in _BEHIND and not unpaired:
            break
        link = link[:-1]
    return link
