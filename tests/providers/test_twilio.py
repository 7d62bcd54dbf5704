"""Twilio: what it is asked, and what its answers become."""

from urllib.parse import parse_qs, parse_qsl

import pytest

from tests.providers.vendor_answers import SID, TWILIO_TAKEN, twilio_refusal
from tests.providers.vendors import Reply, delivery, exchange, sms
from tidings.domain.messages import EmailContent, SmsContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import FieldValue
from tidings.domain.reasons import Reason
from tidings.settings import SettingsError

SERVICE = "MG" + "1" * 32
KEY = "SK" + "2" * 32
VALUES: dict[str, FieldValue] = {
    "account_sid": SID,
    "auth_token": "token",
    "from": ("US=+15005550006", "GB=ACME", "*=+46701234567"),
}


def test_a_text() -> None:
    message = sms(0, "Your code is 1234 – ok?")
    [outcome], [received] = exchange("twilio", VALUES, [message], TWILIO_TAKEN)
    assert outcome == Accepted("SM" + "a" * 32, detail="HTTP 201, 1 part")
    assert (received.method, received.target) == (
        "POST",
        f"/2010-04-01/Accounts/{SID}/Messages.json",
    )
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert received.headers["authorization"].startswith("Basic QUMwMDAw")
    assert parse_qsl(received.body.decode()) == [
        ("To", "+14155550000"),
        ("Body", "Your code is 1234 – ok?"),
        ("From", "+15005550006"),
    ]


@pytest.mark.parametrize(
    ("number", "sender"),
    [
        ("+14155550000", "+15005550006"),
        ("+442071838750", "ACME"),
        ("+33612345678", "+46701234567"),
    ],
)
def test_the_sender_is_chosen_by_country(number: str, sender: str) -> None:
    _, [received] = exchange("twilio", VALUES, [sms(0, address=number)], TWILIO_TAKEN)
    assert parse_qs(received.body.decode())["From"] == [sender]


def test_a_country_without_a_sender_is_for_another_account() -> None:
    values = {**VALUES, "from": ("US=+15005550006",)}
    message = sms(0, address="+33612345678")
    [outcome], received = exchange("twilio", values, [message], TWILIO_TAKEN)
    assert outcome == Transient(Reason.ACCOUNT_REFUSED, detail="no sender for FR")
    assert not received


def test_messaging_service_callback_and_api_key() -> None:
    values: dict[str, FieldValue] = {
        "account_sid": SID,
        "api_key": KEY,
        "api_key_secret": "secret",
        "messaging_service_sid": SERVICE,
        "status_callback": "https://example.com/callbacks?a=b",
    }
    _, [received] = exchange("twilio", values, [sms()], TWILIO_TAKEN)
    fields = dict(parse_qsl(received.body.decode()))
    assert fields["MessagingServiceSid"] == SERVICE
    assert "From" not in fields
    assert (
        fields["StatusCallback"]
        == f"https://example.com/callbacks?a=b&tidings_delivery={delivery(0)}"
    )
    assert received.headers["authorization"].startswith("Basic U0syMjIy")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"account_sid": "AC1"}, "account_sid"),
        ({"auth_token": None}, "auth_token"),
        ({"api_key": KEY}, "go together"),
        ({"from": ()}, "from is required"),
        ({"from": ("US=+1500 555",)}, "number 1 is not a sender"),
        ({"from": ("USA=+15005550006",)}, "number 1 is not a sender"),
        ({"from": ("US=+15005550006", "us=ACME")}, "two senders for US"),
        ({"auth_token": "a\nb"}, "not a credential"),
    ],
)
def test_wrong_settings(changes: dict[str, FieldValue], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        exchange("twilio", VALUES | changes, [sms()], TWILIO_TAKEN)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (sms(0, address="0170 1234567"), Reason.ADDRESS_INVALID),
        (sms(0, address="+1"), Reason.ADDRESS_INVALID),
        (sms(0, address="+999123456789"), Reason.ADDRESS_INVALID),
        (sms(0, address="+1415555\u0660123"), Reason.ADDRESS_INVALID),
        (sms(0, content=SmsContent("")), Reason.CONTENT_REJECTED),
        (sms(0, content=EmailContent("s", "t")), Reason.CONTENT_REJECTED),
        (sms(0, "x" * 1601), Reason.MESSAGE_TOO_LARGE),
        (sms(0, "ж" * 700), Reason.MESSAGE_TOO_LARGE),
    ],
)
def test_what_need_not_be_asked(message: object, expected: Reason) -> None:
    [outcome], received = exchange("twilio", VALUES, [message], TWILIO_TAKEN)  # type: ignore[list-item] # parametrize
    assert isinstance(outcome, Permanent)
    assert outcome.reason is expected
    assert not received


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            twilio_refusal(400, 21211, "x"),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 21211"),
        ),
        (
            twilio_refusal(400, 21614, "x"),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 21614"),
        ),
        (
            twilio_refusal(400, 21610, "x"),
            Permanent(Reason.PROVIDER_SUPPRESSED, suppress=True, detail="HTTP 400 21610"),
        ),
        (
            twilio_refusal(400, 21408, "x"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400 21408"),
        ),
        (
            twilio_refusal(400, 21606, "x"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400 21606"),
        ),
        (
            twilio_refusal(400, 21617, "x"),
            Permanent(Reason.MESSAGE_TOO_LARGE, detail="HTTP 400 21617"),
        ),
        (
            twilio_refusal(400, 21609, "x"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400 21609"),
        ),
        (
            twilio_refusal(400, 21730, "x"),
            Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 400 21730"),
        ),
        (
            twilio_refusal(400, 99999, "x"),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400"),
        ),
        (
            twilio_refusal(401, 20003, "x"),
            Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 401 20003"),
        ),
        (
            twilio_refusal(404, 20404, "x"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 404 20404"),
        ),
        (
            twilio_refusal(429, 21611, "x"),
            Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 429 21611"),
        ),
        (
            Reply(429, {"code": 20429}, {"Retry-After": "3"}),
            Transient(Reason.PROVIDER_THROTTLED, 3.0, detail="HTTP 429 20429"),
        ),
        (Reply(503), Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 503")),
        (Reply(201, {"status": "queued"}), Unknown(Reason.MALFORMED_ANSWER)),
        (
            Reply(201, {"sid": "SM1", "status": "failed", "error_code": 30007}),
            Permanent(Reason.CONTENT_REJECTED, detail="HTTP 400 30007"),
        ),
        (
            Reply(201, {"sid": "SM1", "status": "failed", "error_code": 30003}),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400 30003"),
        ),
        (
            Reply(201, {"sid": "SM1", "status": "failed", "error_code": 30004}),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400 30004"),
        ),
    ],
)
def test_answers(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("twilio", VALUES, [sms()], reply)
    assert outcomes == [expected]
