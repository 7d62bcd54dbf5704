"""From a template's content and data to what each channel sends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tidings.domain.channels import Channel
from tidings.domain.messages import (
    ChatContent,
    Content,
    EmailContent,
    InAppContent,
    PushContent,
    SmsContent,
    WebhookContent,
)
from tidings.domain.reasons import Reason
from tidings.domain.segments import segments
from tidings.domain.templates import EngineName
from tidings.rendering.compiled import compile_content
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.engines import ENGINES
from tidings.rendering.source import TemplateContent

RECIPIENT = {"user_id": "u", "locale": None, "timezone": None}
texts = st.text(st.characters(codec="utf-8"))
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def rendered(channel: Channel, source: dict[str, Any], data: dict[str, Any]) -> Content:
    checked = TemplateContent.model_validate({channel: source}).by_channel()
    return compile_content("welcome", checked)[channel](context_of(data, RECIPIENT))


@pytest.mark.parametrize(
    ("channel", "source", "expected"),
    [
        (
            Channel.EMAIL,
            {"subject": "S {{ n }}", "text": "T {{ n }}", "html": "<p>{{ n }}</p>"},
            EmailContent("S <x>", "T <x>", "<p>&lt;x&gt;</p>"),
        ),
        (
            Channel.EMAIL,
            {"subject": "S", "text": "T", "reply_to": "{{ n }}@example.com\n"},
            EmailContent("S", "T", None, "<x>@example.com"),
        ),
        (
            Channel.EMAIL,
            {
                "subject": "S",
                "text": "T",
                "headers": {"X-Order": "a\n{{ n }}", "X-Empty": "{{ '' }}"},
                "tags": ["orders"],
            },
            EmailContent("S", "T", headers={"X-Order": "a <x>"}, tags=("orders",)),
        ),
        (Channel.SMS, {"body": "B {{ n }}\n2"}, SmsContent("B <x>\n2")),
        (
            Channel.PUSH,
            {"title": "T\n{{ n }}", "body": "B\n{{ n }}", "url": "https://x/{{ n }}"},
            PushContent("T <x>", "B\n<x>", "https://x/<x>"),
        ),
        (
            Channel.PUSH,
            {
                "title": "T",
                "body": "B",
                "ttl": 0,
                "data": {"order": "{{ n }}"},
                "ios": {"thread_id": "t-{{ n }}", "mutable_content": True},
                "web": {"actions": [{"action": "open", "title": "{{ n }}"}]},
            },
            PushContent(
                "T",
                "B",
                options={
                    "ttl": 0,
                    "data": {"order": "<x>"},
                    "ios": {"thread_id": "t-<x>", "mutable_content": True},
                    "web": {"actions": [{"action": "open", "title": "<x>"}]},
                },
            ),
        ),
        (Channel.IN_APP, {"title": "T", "body": "{{ n }}"}, InAppContent("T", "<x>")),
        (Channel.CHAT, {"body": "{{ n }}"}, ChatContent("<x>")),
        (Channel.WEBHOOK, {}, WebhookContent("welcome", {"n": "<x>"})),
        (Channel.WEBHOOK, {"type": "user.new"}, WebhookContent("user.new", {"n": "<x>"})),
        (
            Channel.WEBHOOK,
            {"payload": {"a": ["{{ n }}", 1, None, True, {"{{ n }}": "{{ n }}!"}]}},
            WebhookContent("welcome", {"a": ["<x>", 1, None, True, {"{{ n }}": "<x>!"}]}),
        ),
    ],
)
def test_each_channel(channel: Channel, source: dict[str, Any], expected: Content) -> None:
    assert rendered(channel, source, {"n": "<x>"}) == expected


def test_text_is_made_from_html() -> None:
    html = """<html><head><title>no</title><style>p {color: red}</style></head><body>
      <h1>Hi {{ name }}</h1><p>Your   order<br>is <b>ready</b>.</p>
      <ul><li>one</li><li>two</li></ul><a href="https://example.com/?a=1&amp;b=2">Open</a>
      <script>alert(1)</script></body></html>"""
    content = rendered(Channel.EMAIL, {"subject": "s", "html": html}, {"name": "Zoë & <Co>"})
    assert isinstance(content, EmailContent)
    assert "Hi Zoë & <Co>" in content.text
    assert "Your order\nis ready." in content.text
    assert "- one" in content.text
    assert "Open (https://example.com/?a=1&b=2)" in content.text
    for hidden in ("alert", "color", "no\n", "&amp;", "<b>"):
        assert hidden not in content.text


@given(st.text())
def test_any_html_gives_a_text(html: str) -> None:
    """What a data value is made to say by `|safe` may be anything."""
    content = rendered(
        Channel.EMAIL,
        {"subject": "s", "html": "{{ x|safe }}"},
        {"x": "x" + html.encode("utf-8", "replace").decode()},
    )
    assert isinstance(content, EmailContent)
    assert isinstance(content.text, str)


@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<div>",
                "<table>",
                "<td>",
                "<!--",
                "-->",
                "<![CDATA[",
                "]]>",
                "&#0;",
                "&#xd800;",
                "<?xml",
                "?>",
                "<ul>",
                "<pre>",
                "\x00",
                "<br>",
                "x",
                "<a",
                "href='",
            ]
        )
    ).map("".join)
)
def test_html_made_of_fragments(html: str) -> None:
    content = rendered(Channel.EMAIL, {"subject": "s", "html": "{{ x|safe }}"}, {"x": html})
    assert isinstance(content, EmailContent)
    content.text.encode()


def test_text_from_html_keeps_every_script() -> None:
    name = "Žofie Ζωή Зоя 朋子 زينب ज़ोया 조이 👩‍👩‍👧 Ǽ"
    content = rendered(Channel.EMAIL, {"subject": "s", "html": "<p>{{ n }}</p>"}, {"n": name})
    assert isinstance(content, EmailContent)
    assert content.text == f"{name}\n"


@given(st.dictionaries(texts, documents, max_size=4))
def test_a_webhook_without_payload_gets_the_data_as_it_is(data: dict[str, Any]) -> None:
    assert rendered(Channel.WEBHOOK, {}, data) == WebhookContent("welcome", data)


@given(texts)
def test_the_shape_of_a_payload_is_the_templates(name: str) -> None:
    content = rendered(Channel.WEBHOOK, {"payload": {"name": "{{ name }}"}}, {"name": name})
    assert content == WebhookContent("welcome", {"name": name})


@pytest.mark.parametrize(
    ("channel", "source", "path"),
    [
        (Channel.EMAIL, {"subject": "{{ x }}", "text": "t"}, "email.subject"),
        (Channel.EMAIL, {"subject": "s", "text": "{{ x }}"}, "email.text"),
        (Channel.EMAIL, {"subject": "s", "html": "{{ x }}"}, "email.html"),
        (Channel.EMAIL, {"subject": "s", "text": "t", "reply_to": "{{ x }}"}, "email.reply_to"),
        (Channel.SMS, {"body": "{{ x }}"}, "sms.body"),
        (Channel.PUSH, {"title": "{{ x }}", "body": "b"}, "push.title"),
        (Channel.IN_APP, {"title": "t", "body": "b", "url": "{{ x }}"}, "in_app.url"),
        (Channel.CHAT, {"body": "{{ x }}"}, "chat.body"),
        (Channel.WEBHOOK, {"payload": {"a": ["{{ x }}"]}}, "webhook.payload.a.0"),
    ],
)
def test_a_failure_names_its_field(channel: Channel, source: dict[str, Any], path: str) -> None:
    with pytest.raises(RenderingError) as caught:
        rendered(channel, source, {})
    assert caught.value.reason is Reason.UNDEFINED_VARIABLE
    assert caught.value.detail == f"{path}: 'x' is undefined"


def test_every_channel_can_be_written_and_compiled() -> None:
    assert set(TemplateContent.model_fields) == set(Channel)
    with pytest.raises(TemplateSourceError, match=r"^push\.body, line 1"):
        compile_content("t", {Channel.PUSH: {"title": "t", "body": "{{"}})


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"email": None},
        {"email": {"subject": "s"}},
        {"email": {"text": "t"}},
        {"email": {"subject": "", "text": "t"}},
        {"email": {"subject": "a\0", "text": "t"}},
        {"email": {"subject": "s", "text": "t", "cc": "x"}},
        {"sms": {"body": "a" * 200_001}},
        {"webhook": {"payload": {"a": 2**64}}},
        {"webhook": {"payload": {"a\0": 1}}},
        {"fax": {"body": "b"}},
    ],
)
def test_what_an_editor_may_not_write(content: Any) -> None:
    with pytest.raises(ValidationError):
        TemplateContent.model_validate(content)


def test_only_what_was_given_is_stored() -> None:
    given_ = {"email": {"subject": "s", "text": "t"}, "webhook": {"payload": {"a": [None]}}}
    assert TemplateContent.model_validate(given_).by_channel() == given_


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"ttl": 2_419_201}, ("push", "ttl")),
        ({"ttl": "60"}, ("push", "ttl")),
        ({"badge": -1}, ("push", "badge")),
        ({"badge": True}, ("push", "badge")),
        ({"priority": "urgent"}, ("push", "priority")),
        ({"sound": "{{ n }}"}, ("push", "sound")),
        ({"data": {"from": "x"}}, ("push", "data", "from", "[key]")),
        ({"data": {"google.x": "x"}}, ("push", "data", "google.x", "[key]")),
        ({"data": {"order": 7}}, ("push", "data", "order")),
        ({"android": {"channel_id": "{{ n }}"}}, ("push", "android", "channel_id")),
        ({"android": {"color": "red"}}, ("push", "android", "color")),
        ({"ios": {"interruption_level": "loud"}}, ("push", "ios", "interruption_level")),
        ({"ios": {"sound": "x"}}, ("push", "ios", "sound")),
        ({"web": {"actions": [{"title": "x"}]}}, ("push", "web", "actions", 0, "action")),
    ],
)
def test_push_options_that_no_service_takes(options: dict[str, Any], at: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        TemplateContent.model_validate({"push": {"title": "T", "body": "B", **options}})
    assert [one["loc"] for one in refused.value.errors()] == [at]


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"headers": {"Subject": "x"}}, ("email", "headers", "Subject", "[key]")),
        ({"headers": {"X A": "x"}}, ("email", "headers", "X A", "[key]")),
        ({"headers": {"X:A": "x"}}, ("email", "headers", "X:A", "[key]")),
        ({"headers": {"X-A": ""}}, ("email", "headers", "X-A")),
        ({"tags": ["{{ n }}"]}, ("email", "tags", 0)),
        ({"tags": []}, ("email", "tags")),
    ],
)
def test_headers_and_tags_that_no_email_takes(options: dict[str, Any], at: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        TemplateContent.model_validate({"email": {"subject": "S", "text": "T", **options}})
    assert [one["loc"] for one in refused.value.errors()] == [at]


FIGURES: list[tuple[EngineName, str, str]] = [
    ("jinja", "{{ n | money('EUR') }} {{ at | time }} {{ n | number }}", "de"),
    ("liquid", "{{ n | money: 'EUR' }} {{ at | time }} {{ n | number }}", "de"),
    ("jinja", "{{ n | money('EUR') }} {{ at | time }} {{ n | number }}", "fr"),
    ("jinja", "{{ n | money('CHF') }} {{ at | datetime }} {{ n | number }}", "de-CH"),
    ("liquid", "{{ n | money: 'USD' }} {{ at | time }} {{ at | datetime }}", "en-US"),
    ("jinja", "{{ n | money('SEK') }} {{ n | percent }}", "sv"),
]


@pytest.mark.parametrize(("engine", "source", "locale"), FIGURES)
def test_figures_leave_a_text_message_in_the_gsm_alphabet(
    engine: EngineName, source: str, locale: str
) -> None:
    content = {channel: {"body": source} for channel in (Channel.SMS, Channel.CHAT)}
    data = {"n": -1234567.5, "at": "2030-01-31T09:30:00Z"}
    context = context_of(data, {"user_id": "u", "locale": locale, "timezone": None})
    compiled = compile_content("t", content, engine=ENGINES[engine])
    sms, chat = (compiled[channel](context) for channel in content)
    assert isinstance(sms, SmsContent)
    assert isinstance(chat, ChatContent)
    assert segments(sms.body).encoding == "gsm7"
    # Elsewhere they are as the language has it.
    assert segments(chat.body).encoding == "ucs2"
    assert len(sms.body) == len(chat.body)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_data_says_in_a_text_message_stays(engine: EngineName) -> None:
    content = {Channel.SMS: {"body": "\xa0{{ n }}\u2019"}}
    compiled = compile_content("t", content, engine=ENGINES[engine])
    rendered = compiled[Channel.SMS](context_of({"n": "a\xa0b\u202fc\u2019d\u2212"}, RECIPIENT))
    assert rendered == SmsContent("\xa0a\xa0b\u202fc\u2019d\u2212\u2019")
