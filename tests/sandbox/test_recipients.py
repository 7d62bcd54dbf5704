"""Magic recipients, and failures on purpose."""

import contextlib
import http.client
import json
import random
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.sandbox import Answer, Box, fetch
from tidings.sandbox.faults import Faults, Mishap, drawn


def send(box: Box, to: str, **more: Any) -> Answer:
    """An email through Postmark, whose form is short."""
    account = box.account("postmark")
    mail = {"From": "shop@example.com", "To": to, "Subject": "Hello", "TextBody": "Hello", **more}
    headers = {"X-Postmark-Server-Token": account["server_token"]}
    return fetch(f"{account['endpoint']}/email", mail, headers=headers)


def text(box: Box, to: str) -> Answer:
    account = box.account("vonage")
    credentials = {name: account[name] for name in ("api_key", "api_secret")}
    body = {**credentials, "to": to, "from": "SHOP", "text": "Hello"}
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return fetch(f"{account['endpoint']}/sms/json", urlencode(body).encode(), headers=headers)


@pytest.mark.parametrize(
    ("local", "happenings"),
    [
        ("anybody", ["delivered"]),
        ("bounce", ["bounced"]),
        ("bounce+42", ["bounced"]),
        ("HardBounce", ["bounced"]),
        ("soft-bounce", ["soft-bounced"]),
        ("delay", ["deferred", "delivered"]),
        ("complain", ["delivered", "complained"]),
        ("unsubscribe", ["delivered", "opened", "unsubscribed"]),
        ("click", ["delivered", "opened", "clicked"]),
    ],
)
def test_what_becomes_of_an_email(box: Box, local: str, happenings: list[str]) -> None:
    assert send(box, f"{local}@example.com").status == 200
    assert box.happened(1, *happenings)["status"] == happenings[-1]


@pytest.mark.parametrize(
    ("number", "happenings"),
    [
        ("12025550100", ["delivered"]),
        ("12025550103", ["bounced"]),
        ("442025550110", ["delivered", "replied"]),
    ],
)
def test_what_becomes_of_a_text(box: Box, number: str, happenings: list[str]) -> None:
    assert text(box, number).document["messages"][0]["status"] == "0"
    box.happened(1, *happenings)


def test_every_other_call_for_some(box: Box) -> None:
    statuses = [send(box, f"{local}@example.com").status for local in ("throttle", "error") * 2]
    assert statuses == [429, 500, 200, 200]
    assert len(box.messages()) == 2


def test_one_that_is_never_answered(box: Box) -> None:
    url = urlsplit(box.account("postmark")["endpoint"])
    impatient = http.client.HTTPConnection(url.netloc, timeout=0.3)
    mail = {"From": "shop@example.com", "To": "timeout@example.com", "TextBody": "Hello"}
    headers = {"X-Postmark-Server-Token": box.account("postmark")["server_token"]}
    impatient.request("POST", f"{url.path}/email", json.dumps(mail), headers)
    with contextlib.closing(impatient), pytest.raises(TimeoutError):
        impatient.getresponse()
    assert box.messages() == []
    assert send(box, "timeout@example.com").status == 200


def put_faults(box: Box, vendor: str, **faults: float) -> Answer:
    return fetch(f"{box.url}/sandbox/faults/{vendor}", faults, method="PUT")


@pytest.mark.parametrize(("fault", "status"), [("errors", 500), ("throttled", 429)])
def test_failures_by_share(box: Box, fault: str, status: int) -> None:
    assert put_faults(box, "postmark", **{fault: 1}).document["postmark"][fault] == 1
    assert send(box, "ann@example.com").status == status
    assert text(box, "12025550100").document["messages"][0]["status"] == "0"  # another vendor
    fetch(f"{box.url}/sandbox/faults", method="DELETE")
    assert send(box, "ann@example.com").status == 200


@pytest.mark.parametrize(("fault", "taken"), [("cut", 0), ("lost", 1)])
def test_connections_that_are_cut(box: Box, fault: str, taken: int) -> None:
    put_faults(box, "all", **{fault: 1})
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        send(box, "ann@example.com")
    assert len(box.messages()) == taken


def test_slow_ones_are_answered_in_the_end(box: Box) -> None:
    put_faults(box, "postmark", slow=1, seconds=0.01)
    assert send(box, "ann@example.com").status == 200


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"errors": 2}, "errors is a number from 0 to 1"),
        ({"errors": True}, "errors is a number"),
        ({"other": 1}, "'other' is none of errors, throttled"),
        ({"errors": 0.6, "cut": 0.6}, "more than 1 together"),
        ([], "an object is needed"),
    ],
)
def test_faults_that_cannot_be(box: Box, wanted: Any, told: str) -> None:
    refused = fetch(f"{box.url}/sandbox/faults/postmark", wanted, method="PUT")
    assert refused.status == 400
    assert told in refused.document["error"]
    assert fetch(f"{box.url}/sandbox/faults/nobody", {}, method="PUT").status == 404


def test_shares_are_kept() -> None:
    faults, chance = Faults(errors=0.2, cut=0.3), random.Random(7)
    found = [drawn(faults, chance) for _ in range(10_000)]
    assert found.count(Mishap.ERROR) == pytest.approx(2000, rel=0.1)
    assert found.count(Mishap.CUT) == pytest.approx(3000, rel=0.1)
    assert found.count(None) == pytest.approx(5000, rel=0.1)


@pytest.mark.parametrize(
    ("vendor", "path", "status"),
    [
        ("sendgrid", "/v3/mail/send", 401),
        ("mailgun", "/v3/sandbox.example.com/messages", 401),
        ("postmark", "/email", 401),
        ("resend", "/emails", 401),
        ("ses", "/v2/email/outbound-emails", 403),
        ("sns", "/", 403),
        ("webhook", "/", 401),
    ],
)
def test_nobody_without_credentials(box: Box, vendor: str, path: str, status: int) -> None:
    assert fetch(f"{box.url}/{vendor}{path}", {}).status == status
    assert box.messages() == []


@pytest.mark.parametrize("path", ["fcm/v1/projects/x/messages:send", "webhook/", "apns/3/device/a"])
def test_credentials_that_are_no_text(box: Box, path: str) -> None:
    odd = {"authorization": "Bearer \xb2", "webhook-timestamp": "\xb2"}
    assert 400 <= fetch(f"{box.url}/{path}", {}, headers=odd).status < 500


def test_fields_of_a_wrong_type_are_a_refusal(box: Box) -> None:
    for wrong in (7, {"Email": "ann@example.com"}):
        refused = send(box, "", To=wrong)
        assert (refused.status, refused.document["ErrorCode"]) == (422, 403)


def test_content_of_a_wrong_type_is_shown_as_such(box: Box) -> None:
    send(box, "ann@example.com", Headers=7)
    assert box.message()["subject"] == "Content that cannot be read (TypeError)"
