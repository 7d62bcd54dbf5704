"""The ten templates of the examples, in all their languages and channels."""

from pathlib import Path

import pytest
from examples.branded import editions

from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent, SmsContent
from tidings.domain.templates import Edition
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of

EDITIONS = list(editions(Path(__file__).parents[2] / "examples/branded"))


def test_they_are_ten_in_three_languages() -> None:
    assert len(EDITIONS) == 10
    assert all(one.locales.keys() == {"de", "ar"} for one in EDITIONS)


@pytest.mark.parametrize("locale", ["en", "de", "ar"])
@pytest.mark.parametrize("edition", EDITIONS, ids=lambda one: one.name)
def test_each_renders_everywhere(edition: Edition, locale: str) -> None:
    assert edition.sample is not None
    recipient = {"user_id": "u", "locale": locale, "timezone": "Europe/Berlin"}
    renders = compile_edition(edition.name, edition)
    assert renders.keys() == set(Channel)
    for render in renders.values():
        content = render(context_of(edition.sample, recipient))
        if isinstance(content, EmailContent):
            assert content.html is not None
            said = f'<html lang="{locale}" dir="{"rtl" if locale == "ar" else "ltr"}"'
            assert said in content.html
            assert "<style" not in content.html.partition("<body")[2]
            assert "{{" not in content.html + content.text + content.subject
            assert "<" not in content.text.replace("<3", "")
            assert "\n\n\n\n" not in content.text
            assert content.subject
        elif isinstance(content, SmsContent):
            assert 0 < len(content.body) < 300
