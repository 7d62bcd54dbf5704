"""SendGrid: what it is asked, and what its answers become."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.vendor_answers import SENDGRID_TAKEN, sendgrid_refusal
from tests.providers.vendors import NOTIFICATION, Reply, delivery, email, exchange
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

VALUES = {"api_key": "SG.key", "from": "Shop <shop@example.com>"}


def custom_args(number: int) -> dict[str, str]:
    return {"delivery_id": str(delivery(number)), "notification_id": str(NOTIFICATION)}


def test_everything_that_an_email_may_have() -> None:
    content = EmailContent(
        "Your order",
        "Shipped",
        "<p>Shipped</p>",
        reply_to="Help <help@example.com>",
        cc=("carol@example.com",),
        bcc=("Archive <archive@example.com>",),
        headers={"List-Unsubscribe": "<https://example.com/u/1>"},
        attachments=(
            Attachment("invoice.pdf", "application/pdf", b"%PDF"),
            Attachment("logo.png", "image/png", b"png", content_id="logo"),
        ),
        tags=("orders",),
    )
    message = email(0, content, category="shop", metadata={"order": "o-1"})
    [outcome], [received] = exchange("sendgrid", VALUES, [message], SENDGRID_TAKEN)
    assert outcome == Accepted("14c5d75ce93.dfd.64b469", detail="HTTP 202")
    assert (received.method, received.target) == ("POST", "/v3/mail/send")
    assert received.headers["authorization"] == "Bearer SG.key"
    assert received.headers["content-type"] == "application/json"
    assert json.loads(received.body) == {
        "personalizations": [
            {
                "to": [{"email": "number-0@hidden.example"}],
                "cc": [{"email": "carol@example.com"}],
                "bcc": [{"email": "archive@example.com", "name": "Archive"}],
                "subject": "Your order",
                "headers": {"List-Unsubscribe": "<https://example.com/u/1>"},
                "custom_args": {"order": "o-1", **custom_args(0)},
            }
        ],
        "from": {"email": "shop@example.com", "name": "Shop"},
        "reply_to": {"email": "help@example.com", "name": "Help"},
        "subject": "Your order",
        "content": [
            {"type": "text/plain", "value": "Shipped"},
            {"type": "text/html", "value": "<p>Shipped</p>"},
        ],
        "attachments": [
            {
                "content": base64.b64encode(b"%PDF").decode(),
                "type": "application/pdf",
                "filename": "invoice.pdf",
                "disposition": "attachment",
            },
            {
                "content": base64.b64encode(b"png").decode(),
                "type": "image/png",
                "filename": "logo.png",
                "disposition": "inline",
                "content_id": "logo",
            },
        ],
        "categories": ["shop", "orders"],
    }


def bodies(*messages: Any, **values: Any) -> list[dict[str, Any]]:
    _, received = exchange("sendgrid", VALUES | values, messages, SENDGRID_TAKEN)
    return [json.loads(one.body) for one in received]


def test_alike_emails_share_one_call_without_substitution() -> None:
    content = EmailContent("News", "The same for all", "<p>The same for all</p>")
    [body] = bodies(*(email(number, content) for number in range(3)))
    assert [one["to"][0]["email"] for one in body["personalizations"]] == [
        f"number-{number}@hidden.example" for number in range(3)
    ]
    assert [one["custom_args"] for one in body["personalizations"]] == [
        custom_args(number) for number in range(3)
    ]
    assert not any("substitutions" in one for one in body["personalizations"])
    assert [one["value"] for one in body["content"]] == [content.text, content.html]


def test_each_keeps_its_own_link_to_unsubscribe_within_a_call() -> None:
    links = [{"List-Unsubscribe": f"<https://example.com/u/{number}>"} for number in range(2)]
    [body] = bodies(
        *(email(number, EmailContent("s", "t", headers=one)) for number, one in enumerate(links))
    )
    assert [one["headers"] for one in body["personalizations"]] == links


def test_short_bodies_that_differ_are_substituted_whole() -> None:
    [body] = bodies(
        email(0, EmailContent("Hi Ann", "Dear Ann", "<p>Ann</p>")),
        email(1, EmailContent("Hi Bob", "Dear Bob", "<p>Bob</p>")),
    )
    text, html = (one["value"] for one in body["content"])
    assert [one["subject"] for one in body["personalizations"]] == ["Hi Ann", "Hi Bob"]
    assert [one["substitutions"] for one in body["personalizations"]] == [
        {text: "Dear Ann", html: "<p>Ann</p>"},
        {text: "Dear Bob", html: "<p>Bob</p>"},
    ]
    assert str(delivery(0)) in text  # which nobody could guess, and write into a text
    assert text != html


def test_what_cannot_share_a_call_gets_its_own() -> None:
    long = "x" * 10_000
    plain = EmailContent("s", "text")
    found = bodies(
        email(0, EmailContent("s", long + "1")),
        email(1, EmailContent("s", long + "2")),
        email(2, plain),
        email(3, replace(plain, html="<p></p>")),
        email(4, replace(plain, reply_to="r@example.com")),
        email(5, replace(plain, tags=("t",))),
        email(6, replace(plain, attachments=(Attachment("a", "text/plain", b"a"),))),
    )
    assert len(found) == 7
    assert all("substitutions" not in body["personalizations"][0] for body in found)


def test_batching_can_be_turned_off() -> None:
    content = EmailContent("s", "text")
    assert len(bodies(email(0, content), email(1, content), batch=False)) == 2


def test_sandbox_mode() -> None:
    [body] = bodies(email(), sandbox=True)
    assert body["mail_settings"] == {"sandbox_mode": {"enable": True}}


def test_one_bad_address_does_not_stop_the_others() -> None:
    place = "personalizations.1.to.0.email"
    messages = [email(number) for number in range(3)]
    outcomes, received = exchange(
        "sendgrid",
        VALUES,
        messages,
        Reply(400, sendgrid_refusal("Does not contain a valid address.", place)),
        SENDGRID_TAKEN,
    )
    assert [type(one) for one in outcomes] == [Accepted, Permanent, Accepted]
    again = json.loads(received[1].body)["personalizations"]
    assert [one["custom_args"] for one in again] == [custom_args(0), custom_args(2)]


def test_where_nothing_says_which_is_bad_each_is_tried_alone() -> None:
    messages = [email(number) for number in range(3)]
    bad = Reply(400, sendgrid_refusal("Bad Request", None))
    outcomes, received = exchange("sendgrid", VALUES, messages, bad, SENDGRID_TAKEN)
    assert [type(one) for one in outcomes] == [Accepted] * 3
    assert [len(json.loads(one.body)["personalizations"]) for one in received] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            Reply(400, sendgrid_refusal("x", "personalizations.0.to.0.email")),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 personalizations.to.email"),
        ),
        (
            Reply(400, sendgrid_refusal("x", "personalizations[0].to[0].email")),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 personalizations.to.email"),
        ),
        (
            Reply(400, sendgrid_refusal("x", "content.0.value")),
            Permanent(Reason.CONTENT_REJECTED, detail="HTTP 400 content.value"),
        ),
        (
            Reply(400, sendgrid_refusal("x", "something else number-0@hidden.example")),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400"),
        ),
        (
            Reply(401, sendgrid_refusal("Maximum credits exceeded", None)),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 401"),
        ),
        (
            Reply(451, sendgrid_refusal("Unavailable due to data residency", None)),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 451"),
        ),
        (
            Reply(403, sendgrid_refusal("does not match a verified Sender Identity", "from")),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 403 from"),
        ),
        (
            Reply(403, sendgrid_refusal("access forbidden", None)),
            Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 403"),
        ),
        (Reply(413), Permanent(Reason.MESSAGE_TOO_LARGE, detail="HTTP 413")),
        (
            Reply(429, "", {"X-RateLimit-Reset": "1767268830"}),  # half a minute after NOW
            Transient(Reason.PROVIDER_THROTTLED, 30.0, detail="HTTP 429"),
        ),
        (Reply(500), Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500")),
        (Reply(502), Unknown(Reason.CONNECTION_LOST, detail="HTTP 502")),
        (Reply(504), Unknown(Reason.TIMED_OUT, detail="HTTP 504")),
        (Reply(404), Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 404")),
    ],
)
def test_answers(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("sendgrid", VALUES, [email()], reply)
    assert outcomes == [expected]
