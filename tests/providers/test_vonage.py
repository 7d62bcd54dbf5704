"""Vonage: what it is asked, and what its answers become."""

import json

import pytest

from tests.providers.vendor_answers import vonage_parts
from tests.providers.vendors import Reply, delivery, exchange, sms
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import FieldValue
from tidings.domain.reasons import Reason

VALUES: dict[str, FieldValue] = {
    "api_key": "abcd1234",
    "api_secret": "secret",
    "from": ("US=+15005550006", "*=ACME"),
}
FIRST = "aaaaaaaa-bbbb-cccc-dddd-000000000000"


def test_a_text() -> None:
    values = {**VALUES, "callback": "https://example.com/receipts"}
    [outcome], [received] = exchange("vonage", values, [sms(0, "Code 1234")], vonage_parts("0"))
    assert outcome == Accepted(FIRST, detail="HTTP 200, 1 part")
    assert (received.method, received.target) == ("POST", "/sms/json")
    assert json.loads(received.body) == {
        "api_key": "abcd1234",
        "api_secret": "secret",
        "to": "14155550000",
        "from": "15005550006",
        "text": "Code 1234",
        "type": "text",
        "client-ref": str(delivery(0)),
        "status-report-req": 1,
        "callback": "https://example.com/receipts",
    }


def test_a_text_beyond_the_gsm_alphabet() -> None:
    message = sms(0, "Ваш код 1234 " * 6, address="+442071838750")
    [outcome], [received] = exchange("vonage", VALUES, [message], vonage_parts("0", "0"))
    body = json.loads(received.body)
    assert (body["type"], body["from"]) == ("unicode", "ACME")
    assert outcome == Accepted(FIRST, detail="HTTP 200, 2 parts")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (vonage_parts("1"), Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 200 1")),
        (vonage_parts("2"), Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 200 2")),
        (vonage_parts("4"), Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 200 4")),
        (vonage_parts("5"), Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 200 5")),
        (vonage_parts("6"), Permanent(Reason.ADDRESS_INVALID, detail="HTTP 200 6")),
        (
            vonage_parts("7"),
            Permanent(Reason.PROVIDER_SUPPRESSED, suppress=True, detail="HTTP 200 7"),
        ),
        (vonage_parts("9"), Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 200 9")),
        (vonage_parts("12"), Permanent(Reason.MESSAGE_TOO_LARGE, detail="HTTP 200 12")),
        (vonage_parts("15"), Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 200 15")),
        (vonage_parts("23"), Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 200 23")),
        (vonage_parts("29"), Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 200 29")),
        (vonage_parts("1", "1"), Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 200 1")),
        # Half a text is neither sent nor not.
        (vonage_parts("0", "1"), Unknown(Reason.PROVIDER_REJECTED, "1 of 2 parts taken")),
        (vonage_parts("99"), Unknown(Reason.MALFORMED_ANSWER, detail="HTTP 200")),
        (vonage_parts(), Unknown(Reason.MALFORMED_ANSWER)),
        (Reply(200, {"messages": [{}]}), Unknown(Reason.MALFORMED_ANSWER)),
        (Reply(401), Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 401")),
        (
            Reply(429, "", {"Retry-After": "2"}),
            Transient(Reason.PROVIDER_THROTTLED, 2.0, detail="HTTP 429"),
        ),
    ],
)
def test_answers(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("vonage", VALUES, [sms()], reply)
    assert outcomes == [expected]
