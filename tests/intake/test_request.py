"""What a request may say, checked by properties."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tidings.domain.channels import Channel
from tidings.intake.request import Recipient, SendRequest, as_stored


def taken(email: str) -> str | None:
    try:
        return Recipient(email=email).email
    except ValidationError:
        return None


def by_library(email: str) -> str | None:
    try:
        return validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


local_parts = st.text("abcXYZ019.+-_!'\"@ ", min_size=1, max_size=70)
domains = st.text("abcxyz019.-", min_size=1, max_size=70) | st.sampled_from(
    ["example.com", "xn--bcher-kva.example", "bücher.example", "EXAMPLE.com", "a.b.c.test", "x.y"]
)


@given(
    st.emails()
    | st.builds("{}@{}".format, local_parts, domains)
    | st.text(st.characters(codec="utf-8"), max_size=80)
)
@example("a" * 64 + "@example.com")
@example("a" * 65 + "@example.com")
@example("a@" + "b" * 63 + ".com")
@example("a@" + "b" * 64 + ".com")
@example("a@xn--bcher-kva.example")
@example("a@xn--a.example")
@example("a@b.c")
@example("a@1.2.3.4")
@example("a@" + ".".join(["abcdefghij"] * 25) + ".com")
def test_the_short_way_for_plain_addresses_agrees_with_the_library(email: str) -> None:
    assert taken(email) == by_library(email)


@given(st.emails())
def test_an_address_is_found_as_it_was_stored(email: str) -> None:
    stored = taken(email)
    assume(stored is not None)
    assert as_stored(Channel.EMAIL, email) == stored
    assert as_stored(Channel.SMS, email) == email


def test_what_is_no_address_is_looked_for_as_it_is() -> None:
    assert as_stored(Channel.EMAIL, "no address") == "no address"


def request(**more: Any) -> SendRequest:
    return SendRequest.model_validate(
        {"template_id": "note", "recipient": {"user_id": "ann"}, **more}
    )


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2200, 12, 30), timezones=offsets))
def test_any_rfc_3339_time_is_read(moment: datetime) -> None:
    for text in (moment.isoformat(), moment.isoformat().lower()):
        assert request(send_at=text).send_at == moment
    in_utc = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    assert request(expires_at=in_utc).expires_at == moment


@given(st.integers() | st.floats() | st.booleans() | st.text("0123456789.-+:TZ ", max_size=25))
def test_anything_else_is_no_time(value: Any) -> None:
    assume(not (isinstance(value, str) and "T" in value and len(value) >= 20))
    with pytest.raises(ValidationError, match="RFC 3339"):
        request(send_at=value)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


FIELDS = sorted(SendRequest.model_fields.keys() - {"template_id", "recipient"})


@given(st.dictionaries(st.text(max_size=20), documents, max_size=8) | documents)
def test_any_document_is_taken_or_refused(document: Any) -> None:
    """Whatever it is, nothing but a validation error comes out."""
    bodies: list[Any] = [document, {"template_id": "note", "recipient": document}]
    bodies += [{"template_id": "note", "recipient": {}, name: document} for name in FIELDS]
    for body in bodies:
        with contextlib.suppress(ValidationError):
            assert SendRequest.model_validate(body).template_id == "note"


def test_an_error_shows_nothing_of_what_was_sent() -> None:
    for field in ("email", "phone", "webhook_url", "timezone"):
        with pytest.raises(ValidationError) as caught:
            Recipient.model_validate({field: "secret thing\n"})
        assert "secret" not in str(caught.value)
