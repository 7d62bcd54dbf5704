"""Postmark: what it is asked, and what its answers become."""

import json
from typing import Any

import pytest

from tests.providers.vendors import NOTIFICATION, Reply, delivery, email, exchange
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

VALUES = {"server_token": "server-token", "from": "Shop, Ltd. <shop@example.com>"}


def taken(*numbers: int) -> Reply:
    return Reply(
        200, [{"ErrorCode": 0, "Message": "OK", "MessageID": f"id-{one}"} for one in numbers]
    )


def test_everything_that_an_email_may_have() -> None:
    content = EmailContent(
        "Your order",
        "Shipped",
        "<p>Shipped</p>",
        reply_to="Help <help@example.com>",
        cc=("carol@example.com", "dan@example.com"),
        bcc=("archive@example.com",),
        headers={"List-Unsubscribe": "<https://example.com/u/1>"},
        attachments=(
            Attachment("invoice.pdf", "application/pdf", b"%PDF"),
            Attachment("logo.png", "image/png", b"png", content_id="logo"),
        ),
    )
    metadata = {"order": "o-1", "a name of over twenty characters": "x", "long": "x" * 81}
    message = email(0, content, category="shop", metadata=metadata)
    [outcome], [received] = exchange("postmark", VALUES, [message], taken(0))
    assert outcome == Accepted("id-0", detail="HTTP 200")
    assert (received.method, received.target) == ("POST", "/email/batch")
    assert received.headers["x-postmark-server-token"] == "server-token"
    assert received.headers["accept"] == "application/json"
    assert json.loads(received.body) == [
        {
            "From": '"Shop, Ltd." <shop@example.com>',
            "To": "number-0@hidden.example",
            "Cc": "carol@example.com, dan@example.com",
            "Bcc": "archive@example.com",
            "Subject": "Your order",
            "Tag": "shop",
            "HtmlBody": "<p>Shipped</p>",
            "TextBody": "Shipped",
            "ReplyTo": '"Help" <help@example.com>',
            "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://example.com/u/1>"}],
            "Metadata": {
                "delivery_id": str(delivery(0)),
                "notification_id": str(NOTIFICATION),
                "order": "o-1",
            },
            "Attachments": [
                {"Name": "invoice.pdf", "Content": "JVBERg==", "ContentType": "application/pdf"},
                {
                    "Name": "logo.png",
                    "Content": "cG5n",
                    "ContentType": "image/png",
                    "ContentID": "cid:logo",
                },
            ],
            "MessageStream": "outbound",
        }
    ]


def test_each_email_of_a_call_has_its_own_outcome() -> None:
    reply = [
        {"ErrorCode": 0, "Message": "OK", "MessageID": "id-0"},
        {"ErrorCode": 406, "Message": "Inactive recipient: number-1@hidden.example"},
        {"ErrorCode": 300, "Message": "Error parsing 'To': Illegal email address"},
    ]
    messages = [email(number) for number in range(3)]
    outcomes, received = exchange("postmark", VALUES, messages, Reply(200, reply))
    assert outcomes == [
        Accepted("id-0", detail="HTTP 200"),
        Permanent(Reason.PROVIDER_SUPPRESSED, suppress=True, detail="HTTP 200 406"),
        Permanent(Reason.ADDRESS_INVALID, detail="HTTP 200 300"),
    ]
    assert len(received) == 1


def test_a_call_that_is_refused_whole_is_taken_apart() -> None:
    refused = Reply(422, {"ErrorCode": 403, "Message": "Invalid field"})
    messages = [email(number) for number in range(2)]
    outcomes, received = exchange("postmark", VALUES, messages, refused, taken(0))
    assert outcomes == [Accepted("id-0", detail="HTTP 200")] * 2
    assert [len(json.loads(one.body)) for one in received] == [2, 1, 1]


def test_too_much_for_one_call_goes_in_several() -> None:
    large = Attachment("a.bin", "application/octet-stream", b"x" * (16 * 2**20))
    content = EmailContent("s", "t", attachments=(large,))
    _, received = exchange(
        "postmark", VALUES, [email(number, content) for number in range(2)], taken(0)
    )
    assert [len(json.loads(one.body)) for one in received] == [1, 1]


def test_too_many_recipients_are_refused_here() -> None:
    content = EmailContent("s", "t", cc=tuple(f"c{number}@example.com" for number in range(50)))
    outcomes, received = exchange("postmark", VALUES, [email(0, content)], taken(0))
    assert outcomes == [Permanent(Reason.CONTENT_REJECTED, detail="more than 50 recipients")]
    assert not received


@pytest.mark.parametrize("answer", [[], {"ErrorCode": 0}, [{"Message": "OK"}], ["OK"]])
def test_an_answer_of_another_shape_is_unknown(answer: Any) -> None:
    [outcome], _ = exchange("postmark", VALUES, [email()], Reply(200, answer))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (401, 10, "", Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 401 10")),
        (422, 100, "", Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 422 100")),
        (422, 300, "Invalid", Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 422 300")),
        (422, 400, "", Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 422 400")),
        (422, 405, "", Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 422 405")),
        (422, 411, "", Permanent(Reason.CONTENT_REJECTED, detail="HTTP 422 411")),
        (422, 412, "", Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 422 412")),
        (422, 9999, "", Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 422")),
        (429, 429, "", Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 429 429")),
        (500, 0, "", Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500")),
    ],
)
def test_answers(status: int, code: int, text: str, expected: Outcome) -> None:
    reply = Reply(status, {"ErrorCode": code, "Message": text})
    outcomes, _ = exchange("postmark", VALUES, [email()], reply)
    assert outcomes == [expected]


def test_a_403_of_the_network_before_the_api() -> None:
    [outcome], _ = exchange("postmark", VALUES, [email()], Reply(403, "<html>403</html>"))
    assert outcome == Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 403")
