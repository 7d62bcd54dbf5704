"""Links are exchanged, and nothing else: what a browser finds afterwards is what was there, link for link."""

from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.rendering.links import (
    exchange_in_html,
    exchange_in_text,
    is_trackable,
    unescaped,
)

PATH = st.text("abcXYZ019-._~/?&=%#;,+()[]@!$'*", max_size=30)
URL = st.builds(
    "https://{}.example/{}".format, st.sampled_from(["a", "shop", "xn--bcher-kva"]), PATH
)
OTHER = st.sampled_from(
    ["mailto:a@b.example", "tel:+15551234567", "#top", "/relative", "ftp://a.example/", ""]
)
TEXT = st.text("abc <>&\"'/=-!\n ü😀", max_size=20)


class _Found(HTMLParser):
    """All tags with their attributes, and all text, as the standard library reads them."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class _Numbers:
    """Exchanges each URL for one with its number."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    def __call__(self, url: str) -> str:
        self.targets.append(url)
        return f"https://t.example/{len(self.targets) - 1}"

    def back(self, url: str) -> str:
        return self.targets[int(url.removeprefix("https://t.example/"))]


@given(st.lists(st.tuples(URL | OTHER, TEXT, st.sampled_from("\"'")), max_size=6))
def test_every_link_of_html_leads_to_exactly_what_was_there(
    links: list[tuple[str, str, str]],
) -> None:
    source = "".join(
        f"<p title={quote}{escape(text)}{quote}>{escape(text)}<a href={quote}{escape(url)}{quote} class=x>"
        f"{escape(text)}</a></p>"
        for url, text, quote in links
    )
    exchanged = _Numbers()
    after = _Found(exchange_in_html(source, exchanged))
    hrefs = [dict(attributes)["href"] or "" for tag, attributes in after.tags if tag == "a"]
    led = [exchanged.back(one) if one.startswith("https://t.example/") else one for one in hrefs]
    assert led == [url for url, _, _ in links]
    assert exchanged.targets == [url for url, _, _ in links if is_trackable(url)]
    before = _Found(source)
    assert after.text == before.text
    assert [tag for tag in after.tags if tag[0] != "a"] == [
        tag for tag in before.tags if tag[0] != "a"
    ]


@given(st.text("<>ahref='\"/ =!-:&;.stycripl\n", max_size=80))
def test_where_nothing_is_exchanged_nothing_changes(source: str) -> None:
    assert exchange_in_html(source, lambda _: None) == source
    assert exchange_in_text(source, lambda _: None) == source


@given(st.lists(st.tuples(TEXT, URL), max_size=5))
def test_links_in_text_leave_the_text_around_them(parts: list[tuple[str, str]]) -> None:
    source = "".join(f"{text} {url} " for text, url in parts)
    exchanged = _Numbers()
    after = exchange_in_text(source, exchanged)
    for number in reversed(range(len(exchanged.targets))):
        after = after.replace(f"https://t.example/{number}", exchanged.targets[number])
    assert after == source
    assert all(is_trackable(one) for one in exchanged.targets)


@given(st.text(max_size=60) | st.builds("http{}".format, st.text(max_size=40)))
def test_only_web_addresses_are_trackable(url: str) -> None:
    if is_trackable(url):
        assert url.lower().startswith(("http://", "https://"))
        assert url.isascii()
        assert not set(url) & set(" \t\r\n\\")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https:evil.example",
        "https://",
        "https://a.example\r\nSet-Cookie: x",
        "https://a.example\\@evil.example",
        " https://a.example",
        "https://bücher.example/",
        "https://[::1",
        "https://a.example:99999/",
    ],
)
def test_not_trackable(url: str) -> None:
    assert not is_trackable(url)


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("<!-- <a href='https://a.example'> -->", []),
        ("<style><a href='https://a.example'></style>", []),
        ("<script>'<a href=\"https://a.example\">'</script>", []),
        ("<A HREF=https://a.example>", ["https://a.example"]),
        ("<a\nhref = ' https://a.example '>", ["https://a.example"]),
        ("<area href='https://a.example'>", ["https://a.example"]),
        ("<abbr href='https://a.example'>", []),
        ("<a href='https://a.example' href='https://b.example'>", ["https://a.example"]),
        ("<a title='href=https://b.example' href='https://a.example'>", ["https://a.example"]),
        ("<a href='https://a.example' data-tidings-track='off'>", []),
        ("<!--[if !mso]><!--><a href='https://a.example'><!--<![endif]-->", ["https://a.example"]),
        ("<!--><a href='https://a.example'>", ["https://a.example"]),
        ("<a href='https://a.example'", []),
        ("<img src='https://a.example/x.png'><link href='https://a.example/x.css'>", []),
    ],
)
def test_where_links_are_found(source: str, targets: list[str]) -> None:
    exchanged = _Numbers()
    exchange_in_html(source, exchanged)
    assert exchanged.targets == targets


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("(see https://a.example/x).", "https://a.example/x"),
        ("https://a.example/wiki/A_(b)", "https://a.example/wiki/A_(b)"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("https://a.example/x, and", "https://a.example/x"),
        ('"https://a.example/?q=1"', "https://a.example/?q=1"),
    ],
)
def test_where_urls_end(text: str, url: str) -> None:
    exchanged = _Numbers()
    exchange_in_text(text, exchanged)
    assert exchanged.targets == [url]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&b=2&copy=3", "?a=1&b=2&copy=3"),
        ("?a&copyright", "?a&copyright"),
        ("&#x26;&#38;&lt", "&&<"),
        ("&nothing;", "&nothing;"),
    ],
)
def test_references_are_read_as_browsers_read_them(value: str, read: str) -> None:
    assert unescaped(value) == read
