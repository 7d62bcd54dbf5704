"""Bodies in Markdown and MJML, styles in elements, and text from HTML."""

import tracemalloc
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent
from tidings.domain.shared import SharedVersion, shared_of
from tidings.domain.templates import Edition
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of
from tidings.rendering.engine import TemplateSourceError

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1)
LAYOUT = (
    "<html><head><style>p { color: {{ brand.color }}; } a:hover { color: red }"
    " @media (max-width: 480px) { p { color: black !important } }</style></head>"
    "<body>{{ content }}<p>{{ brand.name }}</p></body></html>"
)
MJML_LAYOUT = (
    "<mjml><mj-body><mj-section><mj-column>{{ content }}</mj-column></mj-section></mj-body></mjml>"
)
SHARED = shared_of(
    [
        SharedVersion("layout", "main", 1, {"html": LAYOUT}),
        SharedVersion("layout", "mj", 1, {"mjml": MJML_LAYOUT}),
        SharedVersion("partial", "sign", 1, {"text": "Yours, {{ brand.name }}"}),
        SharedVersion("brand", "brand", 1, {"name": "A & B", "color": "#123456"}),
    ]
)


def email(data: dict[str, Any], locale: str | None = None, **source: str) -> EmailContent:
    edition = Edition(
        name="t",
        category="c",
        on_unknown="resend",
        content={Channel.EMAIL: {"subject": "s", **source}},
        locale=locale,
        shared=SHARED,
    )
    recipient = {"user_id": None, "locale": locale, "timezone": None}
    content = compile_edition("t", edition)[Channel.EMAIL](context_of(data, recipient))
    assert isinstance(content, EmailContent)
    return content


def test_markdown() -> None:
    content = email(
        {"name": "*Zoë*", "url": "https://x.example/?a=1&b=2"},
        markdown="# Hi {{ name }}\n\nSee **[this]({{ url }})**.",
    )
    assert content.html is not None
    assert "<h1>Hi *Zoë*</h1>" in content.html
    assert '<strong><a href="https://x.example/?a=1&amp;b=2">this</a></strong>' in content.html
    assert content.text == "Hi *Zoë*\n\nSee this (https://x.example/?a=1&b=2).\n"


def test_statements_on_their_own_lines_are_between_the_elements_of_markdown() -> None:
    source = (
        "{% if items %}\n\nYou have:\n\n{% for i in items %}\n- {{ i }}\n{% endfor %}\n{% else %}\n\n"
        "Nothing.\n\n{% endif %}\n| a | b |\n|---|---|\n{% for i in items %}\n| {{ i }} | x |\n{% endfor %}\n"
    )
    content = email({"items": ["p", "q"]}, markdown=source)
    assert content.html is not None
    assert content.html.count("<ul>") == 1
    assert content.html.count("<li>") == 2
    assert content.html.count("<tr>") == 3
    assert "- p\n- q" in content.text
    assert "Nothing." in email({"items": []}, markdown=source).text


@given(texts)
def test_data_is_never_markdown_nor_html(value: str) -> None:
    content = email({"v": value}, markdown="a {{ v }} b\n\n> {{ v }}\n\n- {{ v }}")
    plain = email({"v": "x"}, markdown="a {{ v }} b\n\n> {{ v }}\n\n- {{ v }}")
    assert content.html is not None
    assert plain.html is not None
    assert content.html.count("<") == plain.html.count("<")
    assert f"<p>a {value} b</p>" in unescape(content.html) or "&" in value
    assert f"a {value} b" in content.text


@given(texts)
def test_data_is_escaped_in_mjml_and_survives_in_its_text(value: str) -> None:
    source = "<mj-text>{% if v %}<b>{{ v }}</b>{% endif %}</mj-text>"
    content = email({"v": value}, mjml=source, layout="mj")
    plain = email({"v": "x"}, mjml=source, layout="mj")
    assert content.html is not None
    assert plain.html is not None
    assert content.html.count("<") == plain.html.count("<")
    assert value.strip() in content.text


def test_mjml_loads_nothing_and_keeps_loops() -> None:
    content = email(
        {"items": ["p", "q"]},
        mjml="<mj-table>{% for i in items %}<tr><td>{{ i }}</td></tr>{% endfor %}</mj-table>",
        layout="mj",
    )
    assert content.html is not None
    assert "p</td></tr><tr><td" in content.html
    assert content.html.count("<tbody>") == content.html.count("</tbody>")
    assert "fonts.googleapis.com" not in content.html


def test_a_layout_dresses_the_body_and_styles_go_into_elements() -> None:
    content = email({"n": "N"}, html="<p>{{ n }}</p>{% include 'sign' %}", layout="main")
    assert content.html is not None
    assert '<p style="color: #123456;">N</p>' in content.html
    assert "a:hover" in content.html
    assert "@media (max-width: 480px)" in content.html
    assert "Yours, A &amp; B" in content.html
    assert content.text == "N\n\nYours, A & B\n\nA & B\n"


def test_the_direction_of_the_language_is_said() -> None:
    html = email({}, "ar", markdown="x", layout="main").html
    assert html is not None
    assert '<html lang="ar" dir="rtl">' in html
    mjml = email({}, "ar", mjml="<mj-text>x</mj-text>", layout="mj").html
    assert mjml is not None
    assert 'dir="rtl"' in mjml
    assert "text-align:left" not in mjml


@pytest.mark.parametrize(
    ("source", "path", "line", "column"),
    [
        ({"markdown": "# x\n\n{{ a b }}"}, "email.markdown", 3, 1),
        ({"markdown": "x\n\n{% if x %}a\n\nb{% endif %}"}, "email.markdown", 3, 1),
        ({"mjml": "<mjml>\n <mj-foo/></mjml>"}, "email.mjml", 2, 2),
        (
            {"mjml": "<mjml><mj-body>{{ aaaaaa }}\n<mj-section></mj-body></mjml>"},
            "email.mjml",
            2,
            13,
        ),
        (
            {
                "mjml": "<mjml><mj-body>\n<mj-text {% if x %}color='red'{% endif %}>x</mj-text></mj-body></mjml>"
            },
            "email.mjml",
            2,
            10,
        ),
        ({"mjml": "<mjml><mj-body>\n{{ a b }}</mj-body></mjml>"}, "email.mjml", 2, 1),
        ({"html": "<p>\n{% include 'none' %}</p>"}, "email.html", 2, 1),
    ],
)
def test_mistakes_are_told_where_the_editor_sees_them(
    source: dict[str, str], path: str, line: int, column: int
) -> None:
    with pytest.raises(TemplateSourceError) as caught:
        email({"x": 1}, **source)
    assert (caught.value.path, caught.value.line, caught.value.column) == (path, line, column)


@pytest.mark.parametrize(
    ("html", "data", "text"),
    [
        (
            "<p>a</p>{% for i in n %}<p>{{ i }}</p>{% endfor %}<p>b</p>",
            {"n": [1, 2]},
            "a\n\n1\n\n2\n\nb\n",
        ),
        ("<p>{{ v | safe }}</p>", {"v": "<b>x</b> y"}, "x y\n"),
        (
            "<a {% if v %}href='{{ v }}'{% endif %}>x</a>",
            {"v": "https://y.example"},
            "x (https://y.example)\n",
        ),
        ("<p>&#123;&#123; v }} {{ v }}</p>", {"v": "1"}, "{{ v }} 1\n"),
        ("<div style='display: none'>no</div><p>{{ v }}</p>", {"v": "1"}, "1\n"),
        ("<table><tr><td>a</td><td>{{ v }}</td></tr></table>", {"v": "1"}, "a  1\n"),
    ],
)
def test_text_is_made_from_html(html: str, data: dict[str, Any], text: str) -> None:
    assert email(data, html=html).text == text


def test_partials_in_partials_do_not_grow_beyond_all_bounds() -> None:
    many = '{% include "inner" %}' * 5_000
    shared = shared_of(
        [
            SharedVersion("partial", "inner", 1, {"text": "x" * 10_000}),
            SharedVersion("partial", "outer", 1, {"text": many}),
        ]
    )
    edition = Edition(
        name="t",
        category="c",
        on_unknown="resend",
        content={Channel.SMS: {"body": '\n{% include "outer" %}' * 1_000}},
        shared=shared,
    )
    tracemalloc.start()
    try:
        with pytest.raises(TemplateSourceError, match="with its partials") as caught:
            compile_edition("t", edition)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.path == "sms.body"
    assert peak < 20 * 2**20
