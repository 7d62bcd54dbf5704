"""Amazon SES, many emails in a call: which share one, what it holds by Amazon's own model, and what becomes of each."""

import json
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from tests.providers.http_server import Received
from tests.providers.test_amazon import SES, signature
from tests.providers.vendor_answers import SES_BULK, SES_TAKEN, ses_refusal, ses_results
from tests.providers.vendors import NOTIFICATION, Reply, delivery, email, exchange
from tidings.domain.messages import Attachment, EmailContent, Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.reasons import Reason

OPERATION = ServiceModel(Loader().load_service_model("sesv2", "service-2")).operation_model(
    "SendBulkEmail"
)


def content(text: str = "Text", html: str | None = "<p>Html</p>", **changes: Any) -> EmailContent:
    return EmailContent("Hello", text, html, **changes)


def taken(count: int, start: int = 0) -> Reply:
    return ses_results(
        *({"Status": "SUCCESS", "MessageId": f"id-{start + number}"} for number in range(count))
    )


def accepted(number: int) -> Accepted:
    return Accepted(f"id-{number}", detail="HTTP 200")


def many(received: list[Received]) -> list[int]:
    """How many are in each call; 1 for SendEmail's."""
    bulk = [one for one in received if one.target == SES_BULK]
    counts = [len(json.loads(one.body)["BulkEmailEntries"]) for one in bulk]
    return sorted(counts + [1] * (len(received) - len(bulk)))


def test_several_share_a_call() -> None:
    first = content(
        'Dear "Ann" & Bob,\n<none>',
        reply_to="Hilfe für alle <help@example.com>",
        cc=("Càrol <carol@example.com>",),
        bcc=("archive@example.com",),
        headers={"List-Unsubscribe": "<https://example.com/u/0>"},
    )
    second = content("Dear Eve", reply_to="Hilfe für alle <help@example.com>", tags=("spring",))
    values = {**SES, "from": "Shöp <shop@example.com>", "configuration_set": "reports"}
    messages = [email(0, first, metadata={"order": "o/1"}), email(1, second)]
    outcomes, [received] = exchange("ses", values, messages, taken(2))
    assert outcomes == [accepted(0), accepted(1)]
    assert (received.method, received.target) == ("POST", SES_BULK)
    assert received.headers["authorization"].endswith(f"Signature={signature(received, 'ses')}")
    asked = json.loads(received.body)
    entries = asked.pop("BulkEmailEntries")
    assert asked == {
        "FromEmailAddress": "=?utf-8?B?U2jDtnA=?= <shop@example.com>",
        "ReplyToAddresses": ["=?utf-8?B?SGlsZmUgZsO8ciBhbGxl?= <help@example.com>"],
        "ConfigurationSetName": "reports",
        "DefaultContent": {
            "Template": {
                "TemplateContent": {
                    "Subject": "{{subject}}",
                    "Text": "{{text}}",
                    "Html": "{{html}}",
                },
                "TemplateData": '{"subject":"","text":"","html":""}',
            }
        },
    }
    data = [
        json.loads(
            one.pop("ReplacementEmailContent")["ReplacementTemplate"]["ReplacementTemplateData"]
        )
        for one in entries
    ]
    assert data == [
        {"subject": "Hello", "text": 'Dear "Ann" & Bob,\n<none>', "html": "<p>Html</p>"},
        {"subject": "Hello", "text": "Dear Eve", "html": "<p>Html</p>"},
    ]
    ours = {"Name": "notification_id", "Value": str(NOTIFICATION)}
    generated = {"Name": "Auto-Submitted", "Value": "auto-generated"}
    assert entries == [
        {
            "Destination": {
                "ToAddresses": ["number-0@hidden.example"],
                "CcAddresses": ["=?utf-8?B?Q8Ogcm9s?= <carol@example.com>"],
                "BccAddresses": ["archive@example.com"],
            },
            "ReplacementTags": [
                {"Name": "delivery_id", "Value": str(delivery(0))},
                ours,
                {"Name": "order", "Value": "o_1"},
            ],
            "ReplacementHeaders": [
                generated,
                {"Name": "List-Unsubscribe", "Value": "<https://example.com/u/0>"},
            ],
        },
        {
            "Destination": {"ToAddresses": ["number-1@hidden.example"]},
            "ReplacementTags": [
                {"Name": "delivery_id", "Value": str(delivery(1))},
                ours,
                {"Name": "spring", "Value": "yes"},
            ],
            "ReplacementHeaders": [generated],
        },
    ]


def test_a_call_is_what_amazons_model_allows() -> None:
    """Which botocore has: the same members, and serialized the same."""
    cc, headers = ("carol@example.com",), {"List-Unsubscribe": "<https://example.com/u/0>"}
    messages = [
        email(0, content(reply_to="help@example.com", cc=cc, headers=headers, tags=("spring",))),
        email(1, content("Füße €", reply_to="help@example.com")),
    ]
    values = {**SES, "configuration_set": "reports"}
    _, [received] = exchange("ses", values, messages, taken(2))
    asked = json.loads(received.body)
    assert ParamValidator().validate(asked, OPERATION.input_shape).generate_report() == ""
    written = create_serializer("rest-json").serialize_to_request(asked, OPERATION)
    assert (written["method"], written["url_path"]) == (received.method, received.target)
    assert json.loads(written["body"]) == asked
    statuses = OPERATION.output_shape.members["BulkEmailEntryResults"].member.members["Status"].enum
    assert {*statuses} == {"SUCCESS", *(status for status, _ in REFUSED), *SENT_ALONE}


@pytest.mark.parametrize(
    "odd",
    [
        email(1, content(attachments=(Attachment("a.pdf", "application/pdf", b"%PDF"),))),
        email(1, content("Write {{ name }} in it")),
        email(1, content(html="<p>{{{text}}}</p>")),
        email(1, EmailContent("Hello }}", "Text", "<p>Html</p>")),
        email(1, EmailContent("", "Text", "<p>Html</p>")),
        email(1, content("", None)),
        email(1, content(headers={"X-Greeting": "grüß"})),
        email(1, content(headers={"X-Empty": ""})),
        email(1, content(headers={"X-Long": "x" * 995})),
        email(1, content(headers={f"X-{number}": "x" for number in range(15)})),
        email(1, content("x" * 262_144)),
        email(1, content(bcc=tuple(f"copy-{number}@example.com" for number in range(50)))),
        email(1, content("Text", None)),
        email(1, content(sender="other@example.com")),
        email(1, content(reply_to="help@example.com")),
    ],
)
def test_what_cannot_share_a_call_goes_by_itself(odd: Message) -> None:
    messages = [email(0, content()), odd, email(2, content())]
    one_of_many = {"Status": "SUCCESS", "MessageId": "id"}
    both = Reply(200, {"MessageId": "id", "BulkEmailEntryResults": [one_of_many] * 2})
    outcomes, received = exchange("ses", SES, messages, both)
    assert many(received) == [1, 2]
    assert outcomes == [Accepted("id", detail="HTTP 200")] * 3


def test_one_email_alone_and_batching_turned_off() -> None:
    _, received = exchange("ses", SES, [email()], SES_TAKEN)
    assert many(received) == [1]
    _, received = exchange("ses", {**SES, "batch": False}, [email(0), email(1)], SES_TAKEN)
    assert many(received) == [1, 1]


def test_a_call_has_at_most_fifty_recipients_and_a_megabyte() -> None:
    copied = content(cc=("carol@example.com",), bcc=("archive@example.com",))
    nothing = ses_refusal(429, "TooManyRequestsException", "")  # the answers would be of any number
    _, received = exchange("ses", SES, [email(n, copied) for n in range(40)], nothing)
    assert many(received) == [8, 16, 16]
    long = [email(n, content('"\n' * 30_000 + str(n))) for n in range(12)]
    _, received = exchange("ses", SES, long, nothing)
    assert all(len(one.body) < 1_000_000 for one in received)
    assert many(received) == [4, 4, 4]


REFUSED: list[tuple[str, Outcome]] = [
    ("MESSAGE_REJECTED", Permanent(Reason.CONTENT_REJECTED)),
    ("MAIL_FROM_DOMAIN_NOT_VERIFIED", Transient(Reason.ACCOUNT_REFUSED)),
    ("CONFIGURATION_SET_NOT_FOUND", Transient(Reason.ACCOUNT_REFUSED)),
    ("ACCOUNT_SUSPENDED", Transient(Reason.ACCOUNT_REFUSED)),
    ("ACCOUNT_SENDING_PAUSED", Transient(Reason.ACCOUNT_REFUSED)),
    ("CONFIGURATION_SET_SENDING_PAUSED", Transient(Reason.ACCOUNT_REFUSED)),
    ("INVALID_SENDING_POOL_NAME", Transient(Reason.ACCOUNT_REFUSED)),
    ("ACCOUNT_THROTTLED", Transient(Reason.PROVIDER_THROTTLED)),
    ("ACCOUNT_DAILY_QUOTA_EXCEEDED", Transient(Reason.PROVIDER_THROTTLED)),
    ("TRANSIENT_FAILURE", Transient(Reason.PROVIDER_UNAVAILABLE)),
]
SENT_ALONE = ("INVALID_PARAMETER", "TEMPLATE_NOT_FOUND", "FAILED")


@pytest.mark.parametrize(("status", "expected"), REFUSED)
def test_each_has_an_outcome_of_its_own(status: str, expected: Any) -> None:
    refused = {"Status": status, "Error": "of this one"}
    reply = ses_results({"Status": "SUCCESS", "MessageId": "id-0"}, refused)
    outcomes, received = exchange("ses", SES, [email(0), email(1)], reply)
    assert many(received) == [2]
    assert outcomes[0] == accepted(0)
    assert (type(outcomes[1]), outcomes[1].reason) == (type(expected), expected.reason)
    assert outcomes[1].detail == f"HTTP 200 {status}"


def test_an_unverified_sender_or_recipient_is_the_accounts_affair() -> None:
    text = "Email address is not verified. The following identities failed: a@example.com"
    refused = {"Status": "MESSAGE_REJECTED", "Error": text}
    outcomes, _ = exchange("ses", SES, [email(0), email(1)], ses_results(refused, refused))
    expected = Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 200 MESSAGE_REJECTED")
    assert outcomes == [expected] * 2


@pytest.mark.parametrize("status", SENT_ALONE)
def test_what_many_in_a_call_may_be_to_blame_for_is_sent_alone(status: str) -> None:
    first = ses_results({"Status": "SUCCESS", "MessageId": "id-0"}, {"Status": status})
    bad = ses_refusal(400, "BadRequestException", "Illegal address")
    outcomes, received = exchange("ses", SES, [email(0), email(1)], first, bad)
    assert [one.target for one in received] == [SES_BULK, "/v2/email/outbound-emails"]
    detail = "HTTP 400 BadRequestException"
    assert outcomes == [accepted(0), Permanent(Reason.ADDRESS_INVALID, detail=detail)]


@pytest.mark.parametrize(
    "refused",
    [
        ses_refusal(400, "BadRequestException", "Illegal address"),
        ses_refusal(400, "BadRequestException", "Template contains unsupported operations."),
        ses_refusal(403, "AccessDeniedException", "not authorized to perform ses:SendBulkEmail"),
    ],
)
def test_a_call_that_is_refused_whole_is_taken_apart(refused: Reply) -> None:
    outcomes, received = exchange("ses", SES, [email(0), email(1)], refused, SES_TAKEN)
    assert many(received) == [1, 1, 2]
    assert outcomes == [Accepted("0102018f-aaaa-000000", detail="HTTP 200")] * 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            ses_refusal(429, "TooManyRequestsException", ""),
            Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 429 TooManyRequestsException"),
        ),
        (
            ses_refusal(400, "SendingPausedException", ""),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400 SendingPausedException"),
        ),
        (Reply(500), Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500")),
        (Reply(504), Unknown(Reason.TIMED_OUT, detail="HTTP 504")),
        (Reply(200, "<html>"), Unknown(Reason.MALFORMED_ANSWER)),
        (Reply(200, {"MessageId": "id"}), Unknown(Reason.MALFORMED_ANSWER)),
        (taken(1), Unknown(Reason.MALFORMED_ANSWER)),
        (taken(3), Unknown(Reason.MALFORMED_ANSWER)),
    ],
)
def test_an_answer_for_all_of_a_call(reply: Reply, expected: Outcome) -> None:
    outcomes, received = exchange("ses", SES, [email(0), email(1)], reply)
    assert many(received) == [2]
    assert outcomes == [expected] * 2


@pytest.mark.parametrize("odd", [None, "SUCCESS", {}, {"Status": 1}, {"Status": "NEW"}])
def test_a_result_that_nobody_knows(odd: Any) -> None:
    reply = Reply(200, {"BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": "id-0"}, odd]})
    outcomes, _ = exchange("ses", SES, [email(0), email(1)], reply)
    assert outcomes[0] == accepted(0)
    assert isinstance(outcomes[1], Unknown)
    assert outcomes[1].reason is Reason.MALFORMED_ANSWER
