"""What is missing of a translation: what its readers get in the default's language, and nothing else."""

from typing import Any

import pytest

from tidings.domain.channels import Channel
from tidings.domain.templates import Edition, untranslated

EMAIL = {"subject": "s", "html": "<p>", "text": "t", "from": "a@example.com", "reply_to": "r"}


@pytest.mark.parametrize(
    ("translation", "missing"),
    [
        ({"subject": "s", "html": "<p>", "reply_to": "r"}, []),
        ({"subject": "s", "markdown": "m", "reply_to": "r"}, []),
        ({"subject": "s", "mjml": "m", "text": "t", "reply_to": "r"}, []),
        ({"subject": "s", "text": "t", "reply_to": "r"}, ["email.html"]),
        ({"subject": "s", "markdown": "m"}, ["email.reply_to"]),
    ],
)
def test_a_body_may_be_written_in_another_form(
    translation: dict[str, Any], missing: list[str]
) -> None:
    content = {Channel.EMAIL: EMAIL, Channel.SMS: {"body": "b"}}
    edition = Edition(
        name="n",
        category="c",
        on_unknown="resend",
        content=content,
        locales={"de": {Channel.EMAIL: translation, Channel.SMS: {"body": "b"}}},
    )
    assert untranslated(edition) == {"de": missing}


def test_of_a_channel_that_is_not_translated_all_is_missing() -> None:
    edition = Edition(
        name="n",
        category="c",
        on_unknown="resend",
        content={Channel.EMAIL: EMAIL},
        locales={"de": {}},
    )
    assert untranslated(edition) == {"de": [f"email.{name}" for name in EMAIL]}
