"""Resend: what it is asked, and what its answers become."""

import json

import pytest

from tests.providers.vendor_answers import RESEND_TAKEN, resend_refusal
from tests.providers.vendors import NOTIFICATION, Reply, delivery, email, exchange
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

VALUES = {"api_key": "re_key", "from": "Shop <shop@example.com>"}


def test_everything_that_an_email_may_have() -> None:
    content = EmailContent(
        "Your order",
        "Shipped",
        "<p>Shipped</p>",
        reply_to="help@example.com",
        cc=("carol@example.com",),
        bcc=("archive@example.com",),
        headers={"List-Unsubscribe": "<https://example.com/u/1>"},
        attachments=(Attachment("logo.png", "image/png", b"png", content_id="logo"),),
        tags=("spring sale",),
    )
    message = email(0, content, category="shop", metadata={"order.id": "o/1", "empty": ""})
    [outcome], [received] = exchange("resend", VALUES, [message], RESEND_TAKEN)
    assert outcome == Accepted("49a3999c-0ce1-4ea6-ab68-afcd6dc2e794", detail="HTTP 200")
    assert (received.method, received.target) == ("POST", "/emails")
    assert received.headers["authorization"] == "Bearer re_key"
    assert received.headers["idempotency-key"] == str(delivery(0))
    assert json.loads(received.body) == {
        "from": '"Shop" <shop@example.com>',
        "to": ["number-0@hidden.example"],
        "cc": ["carol@example.com"],
        "bcc": ["archive@example.com"],
        "reply_to": ["help@example.com"],
        "subject": "Your order",
        "text": "Shipped",
        "html": "<p>Shipped</p>",
        "headers": {"List-Unsubscribe": "<https://example.com/u/1>"},
        "attachments": [
            {
                "filename": "logo.png",
                "content": "cG5n",
                "content_type": "image/png",
                "content_id": "logo",
            }
        ],
        "tags": [
            {"name": "shop", "value": "yes"},
            {"name": "spring_sale", "value": "yes"},
            {"name": "order_id", "value": "o_1"},
            {"name": "delivery_id", "value": str(delivery(0))},
            {"name": "notification_id", "value": str(NOTIFICATION)},
        ],
    }


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            resend_refusal(401, "restricted_api_key", "x"),
            Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 401 restricted_api_key"),
        ),
        (
            resend_refusal(403, "validation_error", "The example.com domain is not verified."),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 403 validation_error"),
        ),
        (
            resend_refusal(422, "validation_error", "Invalid `to` field."),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 422 validation_error"),
        ),
        (
            resend_refusal(422, "validation_error", "Invalid `subject` field."),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 422 validation_error"),
        ),
        (
            resend_refusal(422, "invalid_from_address", "x"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 422 invalid_from_address"),
        ),
        (
            resend_refusal(422, "invalid_attachment", "x"),
            Permanent(Reason.CONTENT_REJECTED, detail="HTTP 422 invalid_attachment"),
        ),
        (
            resend_refusal(409, "invalid_idempotent_request", "x"),
            Unknown(Reason.PROVIDER_REJECTED, detail="HTTP 409 invalid_idempotent_request"),
        ),
        (
            resend_refusal(409, "concurrent_idempotent_requests", "x"),
            Transient(
                Reason.PROVIDER_UNAVAILABLE, detail="HTTP 409 concurrent_idempotent_requests"
            ),
        ),
        (
            resend_refusal(429, "daily_quota_exceeded", "x"),
            Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 429 daily_quota_exceeded"),
        ),
        (
            Reply(429, {"name": "rate_limit_exceeded"}, {"ratelimit-reset": "1"}),
            Transient(Reason.PROVIDER_THROTTLED, 1.0, detail="HTTP 429 rate_limit_exceeded"),
        ),
        (
            resend_refusal(451, "security_error", "x"),
            Permanent(Reason.CONTENT_REJECTED, detail="HTTP 451 security_error"),
        ),
        (
            resend_refusal(500, "application_error", "x"),
            Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500 application_error"),
        ),
        (Reply(200, {"no": "id"}), Unknown(Reason.MALFORMED_ANSWER)),
    ],
)
def test_answers(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("resend", VALUES, [email()], reply)
    assert outcomes == [expected]
