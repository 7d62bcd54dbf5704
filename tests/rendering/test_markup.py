"""Whatever the data is, it stays data: in HTML of any origin, in headers, and in text; in both engines."""

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent, PushContent
from tidings.domain.templates import Edition, EngineName
from tidings.rendering.compiled import Render, compile_edition
from tidings.rendering.context import context_of
from tidings.rendering.formats import html_of_mjml

ENGINES: tuple[EngineName, ...] = ("jinja", "liquid")
BODIES = {
    "html": '<p title="{{ name }}">Hi {{ name }} <a href="https://x.example/?q={{ name }}">go</a></p>',
    "markdown": "Hi {{ name }}\n\n- **{{ name }}**\n- [go](https://x.example/?q={{ name }})\n",
    "mjml": "<mjml><mj-body><mj-section><mj-column>"
    '<mj-image alt="&quot;{{ name }}&quot;" src="https://x.example/?a=1&amp;q={{ name }}" />'
    "<mj-text>Hi {{ name }}</mj-text></mj-column></mj-section></mj-body></mjml>",
}
# What breaks out of places, drawn more often than chance would.
PIECES = st.sampled_from(
    [
        *('"', "'", "<", ">", "&", "&quot;", "</a>", "<script>", "<!--", "-->", "{{", "}}", "{%", "%}"),
        *("**", "](", "`", "\n\n# x", "\n- ", "|", "javascript:", "\r\n", "\u2028", "\x85", "tdt0z", "Z"),
    ]
)  # fmt: skip
texts = st.lists(st.one_of(PIECES, st.text(st.characters(codec="utf-8"))), max_size=8).map("".join)


class Shape(HTMLParser):
    """The elements with their attributes, and the texts between."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.comments = 0
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", ()))

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def handle_data(self, data: str) -> None:
        self.text += data


def compiled(engine: EngineName, channel: Channel, source: dict[str, Any]) -> Render:
    edition = Edition(
        name="n", category="c", on_unknown="resend", content={channel: source}, engine=engine
    )
    return compile_edition("t", edition)[channel]


def shown(render: Render, name: str) -> Any:
    return render(context_of({"name": name}, {"user_id": "u", "locale": "en", "timezone": None}))


EMAILS = {
    (engine, kind): compiled(engine, Channel.EMAIL, {"subject": "{{ name }}", kind: body})
    for engine in ENGINES
    for kind, body in BODIES.items()
}
PUSHES = {
    engine: compiled(
        engine, Channel.PUSH, {"title": "{{ name }}", "body": "{{ name }}", "url": "{{ name }}"}
    )
    for engine in ENGINES
}


@pytest.mark.parametrize(("engine", "kind"), EMAILS)
@given(texts)
@example('" onload="x')
@example("</td></tr></table><script>")
def test_data_changes_no_markup(engine: EngineName, kind: str, name: str) -> None:
    harmless, found = (Shape(shown(EMAILS[engine, kind], one).html) for one in ("harmless", name))
    assert found.elements == harmless.elements
    assert found.comments == harmless.comments
    assert found.text == harmless.text.replace("harmless", name)
    assert found.values == [value.replace("harmless", name) for value in harmless.values]


@pytest.mark.parametrize("engine", ENGINES)
@given(texts)
def test_headers_and_titles_are_one_line(engine: EngineName, name: str) -> None:
    content: EmailContent = shown(EMAILS[engine, "html"], name)
    push: PushContent = shown(PUSHES[engine], name)
    for line in (content.subject, push.title, push.url or ""):
        assert len(line.splitlines()) <= 1
        assert line.split() == name.split()
    assert push.body == name


@given(st.text("ab&<>\"'; ", max_size=20), st.text("ab&<>\"'; ", max_size=20))
def test_what_an_editor_writes_in_an_attribute_of_mjml_stays_in_it(one: str, other: str) -> None:
    quoted = [
        '"' + one.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;") + '"',
        "'" + other.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;") + "'",
    ]
    source = (
        "<mjml><mj-body><mj-section><mj-column>"
        f'<mj-image alt={quoted[0]} title={quoted[1]} src="https://x.example/i.png" />'
        "</mj-column></mj-section></mj-body></mjml>"
    )
    found = Shape(html_of_mjml(source))
    [image] = [names for tag, names in found.elements if tag == "img"]
    assert set(image) == {"alt", "height", "src", "style", "title", "width"}
    assert one in found.values
    assert other in found.values
