"""Mailgun: what it is asked, and what its answers become."""

import json
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.http_server import Received
from tests.providers.vendor_answers import MAILGUN_BAD, MAILGUN_TAKEN
from tests.providers.vendors import NOTIFICATION, Reply, delivery, email, exchange
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import FieldValue
from tidings.domain.reasons import Reason
from tidings.providers.formdata import File, form_data
from tidings.settings import SettingsError

VALUES = {"api_key": "key", "domain": "mg.example.com", "from": "Shop <shop@example.com>"}
BASIC = "Basic YXBpOmtleQ=="


def form(received: Received) -> list[tuple[str, str | tuple[str, str, bytes]]]:
    """The fields of a form, read by the standard library."""
    head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
    found: list[tuple[str, str | tuple[str, str, bytes]]] = []
    for part in message_from_bytes(head + received.body).walk():
        if part.is_multipart():
            continue
        name = str(part.get_param("name", header="content-disposition"))
        filename = part.get_filename()
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if filename is None:
            found.append((name, data.decode()))
        else:
            found.append((name, (filename, part.get_content_type(), data)))
    return found


def test_everything_that_an_email_may_have() -> None:
    content = EmailContent(
        "Your order",
        "Shipped",
        "<p>Shipped</p>",
        reply_to="Help <help@example.com>",
        cc=("carol@example.com",),
        bcc=("archive@example.com",),
        headers={"List-Unsubscribe": "<https://example.com/u/1>"},
        attachments=(
            Attachment("invoice.pdf", "application/pdf", b"%PDF\r\n"),
            Attachment("logo.png", "image/png", b"png", content_id="logo"),
        ),
        tags=("été",),
    )
    message = email(0, content, category="shop", metadata={"order": "o-1"})
    [outcome], [received] = exchange("mailgun", VALUES, [message], MAILGUN_TAKEN)
    assert outcome == Accepted("20260101120000.1.ABCD@mg.example.com", detail="HTTP 200")
    assert (received.method, received.target) == ("POST", "/v3/mg.example.com/messages")
    assert received.headers["authorization"] == BASIC
    assert form(received) == [
        ("from", '"Shop" <shop@example.com>'),
        ("to", "number-0@hidden.example"),
        ("cc", "carol@example.com"),
        ("bcc", "archive@example.com"),
        ("subject", "Your order"),
        ("text", "Shipped"),
        ("html", "<p>Shipped</p>"),
        ("h:List-Unsubscribe", "<https://example.com/u/1>"),
        ("v:order", "o-1"),
        ("v:delivery_id", str(delivery(0))),
        ("v:notification_id", str(NOTIFICATION)),
        ("h:Reply-To", '"Help" <help@example.com>'),
        ("o:tag", "shop"),
        ("o:tag", "?t?"),
        ("attachment", ("invoice.pdf", "application/pdf", b"%PDF\r\n")),
        ("inline", ("logo", "image/png", b"png")),
    ]


def test_several_share_a_call_with_what_differs_as_variables() -> None:
    messages = [
        email(
            number,
            EmailContent(
                f"Hi {number}", f"Dear {number}", headers={"X-Count": str(number)}, tags=("t",)
            ),
        )
        for number in range(2)
    ]
    outcomes, [received] = exchange("mailgun", VALUES, messages, MAILGUN_TAKEN)
    assert [type(one) for one in outcomes] == [Accepted, Accepted]
    fields = form(received)
    shared = dict(fields)
    variables = json.loads(str(shared.pop("recipient-variables")))
    assert [value for name, value in fields if name == "to"] == [one.address for one in messages]
    assert shared["subject"] == "%recipient.subject%"
    assert shared["text"] == "%recipient.text%"
    assert shared["v:delivery_id"] == "%recipient.v_3a_delivery_5f_id%"
    assert shared["h:X-Count"] == "%recipient.h_3a_X_2d_Count%"
    assert shared["o:tag"] == "t"
    for number, message in enumerate(messages):
        assert variables[message.address] == {
            "subject": f"Hi {number}",
            "text": f"Dear {number}",
            "h_3a_X_2d_Count": str(number),
            "v_3a_delivery_5f_id": str(delivery(number)),
            "v_3a_notification_5f_id": str(NOTIFICATION),
        }


@pytest.mark.parametrize(
    "changes",
    [
        {"cc": ("c@example.com",)},
        {"bcc": ("c@example.com",)},
        {"attachments": (Attachment("a", "text/plain", b"a"),)},
        {"text": "the sign %recipient.text% in a text"},
        {"html": "<p></p>"},
        {"reply_to": "r@example.com"},
        {"tags": ("other",)},
        {"headers": {"X-One": "1"}},
        {"text": "x" * 70_000},
    ],
    ids=str,
)
def test_what_cannot_share_a_call_gets_its_own(changes: dict[str, Any]) -> None:
    plain = EmailContent("s", "t")
    messages = [email(0, plain), email(1, replace(plain, **changes))]
    _, received = exchange("mailgun", VALUES, messages, MAILGUN_TAKEN)
    assert [[name for name, _ in form(one)].count("to") for one in received] == [1, 1]


def test_two_for_one_address_go_in_two_calls() -> None:
    messages = [email(0), email(1), email(2, address="Number-0@hidden.example")]
    _, received = exchange("mailgun", VALUES, messages, MAILGUN_TAKEN)
    recipients = [[value for name, value in form(one) if name == "to"] for one in received]
    assert sorted(map(len, recipients)) == [1, 2]
    together = [address for each in recipients for address in each]
    assert sorted(map(str, together)) == sorted(one.address for one in messages)


def test_a_call_that_is_refused_whole_is_taken_apart() -> None:
    messages = [email(number) for number in range(2)]
    outcomes, received = exchange("mailgun", VALUES, messages, MAILGUN_BAD, MAILGUN_TAKEN)
    assert [type(one) for one in outcomes] == [Accepted, Accepted]
    assert len(received) == 3


def test_batching_off_and_test_mode() -> None:
    values: dict[str, FieldValue] = {**VALUES, "batch": False, "test_mode": True}
    _, received = exchange("mailgun", values, [email(0), email(1)], MAILGUN_TAKEN)
    assert [dict(form(one))["o:testmode"] for one in received] == ["yes", "yes"]


def test_the_domain_is_a_domain() -> None:
    with pytest.raises(SettingsError, match="domain"):
        exchange("mailgun", {**VALUES, "domain": "a/../b"}, [email()], MAILGUN_TAKEN)


def said(status: int, message: str) -> Reply:
    return Reply(status, {"message": message})


LIMIT = "Domain example.com is not allowed to send: account-requests-per-sec limit exceeded, try again after 120 seconds"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (MAILGUN_BAD, Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400")),
        (
            said(400, "from parameter is missing"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400"),
        ),
        (said(400, "Something else"), Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400")),
        (Reply(401, "Forbidden"), Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 401")),
        (
            said(403, "Free accounts are for test purposes only. Please upgrade"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 403"),
        ),
        (
            said(404, "Mailgun: Domain not found"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 404"),
        ),
        (said(413, ""), Permanent(Reason.MESSAGE_TOO_LARGE, detail="HTTP 413")),
        (said(429, LIMIT), Transient(Reason.PROVIDER_THROTTLED, 120.0, detail="HTTP 429")),
        (said(500, ""), Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500")),
        (Reply(200, {"message": "Queued"}), Unknown(Reason.MALFORMED_ANSWER)),
    ],
)
def test_answers(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("mailgun", VALUES, [email()], reply)
    assert outcomes == [expected]


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.binary()), max_size=4))
def test_forms_read_back(fields: list[tuple[str, bytes]]) -> None:
    """Whatever the values hold, the boundary among it."""
    once, body = form_data((f"f{n}", File("n", "a/b", data)) for n, (_, data) in enumerate(fields))
    files = [(f"f{n}", File("n", "a/b", body + data)) for n, (_, data) in enumerate(fields)]
    content_type, body = form_data(
        [*files, *((f"t{n}", text) for n, (text, _) in enumerate(fields))]
    )
    boundary = content_type.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    values = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert values == [
        *(file.data for _, file in files),
        *(text.encode() for text, _ in fields),
    ]
    assert once.startswith("multipart/form-data; boundary=")
