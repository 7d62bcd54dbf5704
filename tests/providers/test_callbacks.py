"""What single vendors' callbacks hold to beside the contract of all."""

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import EntryPoint
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from tests.providers.callers import (
    CALLERS,
    FORM,
    JSON,
    NOW_SECONDS,
    OLD,
    OURS,
    SNS,
    TO,
    TOPIC,
    URL,
    Amazon,
    Caller,
    mailgun,
    notice,
    posted,
    ses,
    signed_notice,
    vonage_by_parameter,
)
from tests.providers.vendors import NOW, account
from tidings.domain.callbacks import (
    Callbacks,
    Once,
    RawCallback,
    Refused,
    UnreadableCallback,
    Verified,
)
from tidings.domain.receipts import Bounce, ReceiptType
from tidings.providers import catalogue
from tidings.providers.bounces import bounce_of
from tidings.providers.callbacks import CallbackPorts
from tidings.providers.catalogue import Catalogue, read_catalogue
from tidings.providers.events import moment
from tidings.settings import SettingsError


def of(name: str) -> Caller:
    return next(one for one in CALLERS if one.name == name)


def verdict(callbacks: Callbacks, raw: RawCallback) -> Verified | Refused:
    return asyncio.run(callbacks.verify(raw))


# --- Twilio -------------------------------------------------------------------------------------

HOST = "https://notify.example"


@pytest.mark.parametrize(
    ("signed", "seen"),
    [
        (f"{HOST}/callbacks?a=b%20c&d=", f"{HOST}/callbacks?a=b%20c&d="),
        (f"{HOST}/callbacks", f"{HOST}:443/callbacks"),
        (f"{HOST}:443/callbacks", f"{HOST}/callbacks"),
        (f"{HOST}:8443/callbacks", f"{HOST}:8443/callbacks"),
        (f"{HOST}/callbacks", f"{HOST}:8443/callbacks"),
        ("http://notify.example:80/x", "http://notify.example/x"),
        ("https://[2001:db8::1]:443/x", "https://[2001:db8::1]/x"),
    ],
)
def test_twilio_behind_a_proxy_signs_the_public_url(signed: str, seen: str) -> None:
    callbacks = of("twilio").callbacks()
    form = {"MessageSid": "SM1", "Body": "ü & +", "Empty": ""}
    signature = RequestValidator("token-one").compute_signature(signed, form)
    raw = posted(urlencode(form).encode(), {**FORM, "x-twilio-signature": signature}, seen)
    assert verdict(callbacks, raw) == Verified()
    assert isinstance(verdict(callbacks, replace(raw, url=seen + "x")), Refused)


def test_twilio_signs_several_values_of_one_name_sorted() -> None:
    class Many(dict[str, list[str]]):
        def getall(self, name: str) -> list[str]:
            return self[name]

    form = Many({"MediaUrl": ["b", "a", "b"], "MessageSid": ["SM1"]})
    signature = RequestValidator("token-one").compute_signature(URL, form)
    body = urlencode(form, doseq=True).encode()
    raw = posted(body, {**FORM, "x-twilio-signature": signature})
    assert verdict(of("twilio").callbacks(), raw) == Verified()


@pytest.mark.parametrize("settings", ["", "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"])
def test_twilio_signs_the_hash_of_json(settings: str) -> None:
    body = json.dumps({"MessageSid": "SM1", "MessageStatus": "delivered", "to": 5}).encode()
    validator = RequestValidator("token-two")
    url = f"{URL}?tidings_delivery={OURS}&bodySHA256={validator.compute_hash(body.decode())}"
    algorithm = "HMAC_SHA256" if settings else None
    signature = validator.compute_signature(url, {}, algorithm)
    headers = {
        **JSON,
        "x-twilio-signature": signature,
        "x-twilio-webhooks-signature-settings": settings,
    }
    raw = posted(body, headers, url)
    callbacks = of("twilio").callbacks()
    assert verdict(callbacks, raw) == Verified()
    [receipt] = callbacks.receipts(raw)
    assert (receipt.type, str(receipt.delivery_id)) == (ReceiptType.DELIVERED, OURS)
    assert isinstance(verdict(callbacks, replace(raw, body=body + b" ")), Refused)
    bare = RequestValidator("token-two").compute_signature(URL, {}, algorithm)
    unhashed = posted(body, {**headers, "x-twilio-signature": bare})
    assert isinstance(verdict(callbacks, unhashed), Refused)


def test_twilio_signs_the_url_alone_of_a_get() -> None:
    url = f"{URL}?MessageSid=SM1&SmsStatus=received&Body=HELP&OptOutType=HELP&From=%2B14155550001"
    signature = RequestValidator("token-one").compute_signature(url, {})
    raw = RawCallback("GET", url, {"x-twilio-signature": signature}, b"", float(NOW_SECONDS))
    callbacks = of("twilio").callbacks()
    assert verdict(callbacks, raw) == Verified()
    [receipt] = callbacks.receipts(raw)
    assert (receipt.type, receipt.text, receipt.code) == (ReceiptType.INBOUND, "HELP", "HELP")


def test_twilio_signed_in_a_way_of_the_future_is_refused() -> None:
    raw = posted(
        b"", {"x-twilio-signature": "x", "x-twilio-webhooks-signature-settings": "algorithm=X"}
    )
    assert isinstance(verdict(of("twilio").callbacks(), raw), Refused)


# --- Vonage -------------------------------------------------------------------------------------

RECEIPT = {"messageId": "0A1", "status": "delivered", "msisdn": "14155550001", "price": "0.1&=x"}


def test_vonage_signs_by_a_parameter() -> None:
    callbacks = of("vonage").callbacks()
    raw = vonage_by_parameter(RECEIPT, 1, NOW_SECONDS)
    assert verdict(callbacks, raw) == Verified()
    [receipt] = callbacks.receipts(raw)
    assert (receipt.type, receipt.address) == (ReceiptType.DELIVERED, "+14155550001")
    for wrong in (
        vonage_by_parameter(RECEIPT, 2, NOW_SECONDS),
        vonage_by_parameter(RECEIPT, 0, OLD),
        replace(raw, url=raw.url + "&status=failed&a=1"),
        replace(raw, url=raw.url.replace("sig=", "sick=")),
    ):
        assert isinstance(verdict(callbacks, wrong), Refused)


def test_a_token_of_vonages_signs_no_url() -> None:
    """What a token does not cover cannot be said with it."""
    caller = of("vonage")
    token = caller.sign({}, 0, NOW_SECONDS).headers
    raw = RawCallback("GET", f"{URL}?{urlencode(RECEIPT)}", token, b"", float(NOW_SECONDS))
    assert isinstance(verdict(caller.callbacks(), raw), Refused)


# --- SNS ----------------------------------------------------------------------------------------

CONFIRM = f"{SNS}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"


def confirmation(url: str = CONFIRM, **more: str) -> RawCallback:
    fields = notice("You have chosen", NOW_SECONDS, "SubscriptionConfirmation")
    return signed_notice({**fields, "Token": "abc", "SubscribeURL": url, **more}, 0)


def test_a_subscription_of_our_topic_is_confirmed() -> None:
    callbacks = of("ses").callbacks()
    raw = confirmation()
    assert verdict(callbacks, raw) == Verified(follow=CONFIRM)
    assert callbacks.receipts(raw) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription",
        "http://sns.eu-west-1.amazonaws.com/",
        "https://sns.us-east-1.amazonaws.com/",
        "https://sns.eu-west-1.amazonaws.com.evil.example/",
        "https://sns.eu-west-1.amazonaws.com@evil.example/",
        "https://sns.eu-west-1.amazonaws.com:8443/",
        "https://u@sns.eu-west-1.amazonaws.com/",
        "https://sns.eu-west-1.amazonaws.com\\.evil.example/",
        "https://SNS.eu-west-1.amazonaws.com/ x",
        "https://[",
        "",
    ],
)
def test_nothing_else_is_followed_or_fetched(url: str) -> None:
    amazon = Amazon()
    callbacks = of("ses").callbacks(amazon)
    assert isinstance(verdict(callbacks, confirmation(url)), Refused)
    asked = len(amazon.asked)
    fields = json.loads(ses({}, 0, NOW_SECONDS).body) | {"SigningCertURL": url + "one.pem"}
    assert isinstance(verdict(callbacks, posted(json.dumps(fields).encode(), {})), Refused)
    assert len(amazon.asked) == asked


@pytest.mark.parametrize("name", ["expired.pem", "none.pem", "missing.pem", "one.txt", "one.pem?a"])
def test_a_certificate_that_is_not_valid_signs_nothing(name: str) -> None:
    fields = notice("{}", NOW_SECONDS)
    raw = signed_notice(fields, 0)
    spoilt = json.loads(raw.body) | {"SigningCertURL": f"{SNS}/{name}"}
    raw = replace(raw, body=json.dumps(spoilt).encode())
    assert isinstance(verdict(of("ses").callbacks(), raw), Refused)


def test_certificates_are_fetched_once() -> None:
    amazon = Amazon()
    callbacks = of("ses").callbacks(amazon)
    for _ in range(3):
        assert verdict(callbacks, ses({}, 0, NOW_SECONDS)) == Verified()
    assert amazon.asked == [f"{SNS}/one.pem"]


@pytest.mark.parametrize(
    ("version", "expected"), [("1", Verified), ("2", Verified), ("3", Refused)]
)
def test_sns_signs_in_two_versions(version: str, expected: type) -> None:
    raw = signed_notice(notice("{}", NOW_SECONDS), 0, version)
    assert isinstance(verdict(of("ses").callbacks(), raw), expected)


def test_the_topic_of_a_stranger_is_refused() -> None:
    """Amazon signs it all the same."""
    fields = notice("{}", NOW_SECONDS) | {"TopicArn": TOPIC.replace("1234", "9999")}
    assert isinstance(verdict(of("ses").callbacks(), signed_notice(fields, 0)), Refused)


def test_a_stand_in_for_sns_is_asked_instead() -> None:
    amazon = Amazon()
    callbacks = of("ses").callbacks(amazon, sns_endpoint="http://127.0.0.1:9")
    assert isinstance(verdict(callbacks, ses({}, 0, NOW_SECONDS)), Refused)
    assert amazon.asked == ["http://127.0.0.1:9/one.pem"]


def test_each_recipient_of_an_email_has_a_receipt() -> None:
    people = [{"emailAddress": f"{n}@hidden.example", "status": "5.1.1"} for n in range(3)]
    bounce = {"bounceType": "Permanent", "bouncedRecipients": people}
    event = {"eventType": "Bounce", "mail": {"messageId": "m"}, "bounce": bounce}
    receipts = of("ses").callbacks().receipts(ses(event, 0, NOW_SECONDS))
    assert [one.address for one in receipts] == [one["emailAddress"] for one in people]
    assert len({one.event_id for one in receipts}) == 3


# --- batches, inbound, and other forms ----------------------------------------------------------


def test_a_batch_of_sendgrids_is_read_in_order() -> None:
    caller = of("sendgrid")
    documents: list[Any] = [one.document for one in caller.samples]
    raw = caller.sign([*documents, {}], 0, NOW_SECONDS)
    receipts = caller.callbacks().receipts(raw)
    assert [one.type for one in receipts] == [
        *(one.type for one in caller.samples),
        ReceiptType.OTHER,
    ]


def test_what_is_no_event_keeps_no_other_of_sendgrids_batch_unread() -> None:
    caller = of("sendgrid")
    documents: list[Any] = [one.document for one in caller.samples]
    whole = caller.callbacks().receipts(caller.sign(documents, 0, NOW_SECONDS))
    mixed = caller.sign(["odd", *documents[:1], None, *documents[1:]], 0, NOW_SECONDS)
    with pytest.raises(UnreadableCallback, match=f"2 of {len(documents) + 2} events") as unread:
        caller.callbacks().receipts(mixed)
    assert unread.value.receipts == whole


INCOMING = {
    "from": "Jo <jo@hidden.example>",
    "to": "in@shop.example",
    "text": "Hi\0 you",
    "envelope": "{}",
}


def multipart(form: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    parts = "".join(
        f'--xYz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.items()
    )
    file = '--xYz\r\nContent-Disposition: form-data; name="text"; filename="a"\r\n\r\nno\r\n--xYz--\r\n'
    return (parts + file).encode(), {"content-type": "multipart/form-data; boundary=xYz"}


def test_an_email_that_came_in_through_sendgrid() -> None:
    body, headers = multipart(INCOMING)
    [receipt] = of("sendgrid").callbacks().receipts(posted(body, headers))
    assert (receipt.type, receipt.address) == (ReceiptType.INBOUND, "Jo <jo@hidden.example>")
    assert (receipt.recipient, receipt.text) == ("in@shop.example", "Hi you")


@pytest.mark.parametrize("kind", ["form", "multipart"])
def test_an_email_that_came_in_through_mailgun(kind: str) -> None:
    proof = json.loads(mailgun({}, 0, NOW_SECONDS).body)["signature"]
    form = {
        **proof,
        "sender": TO,
        "recipient": "in@shop.example",
        "stripped-text": "Hé",
        "Message-Id": "<1@x>",
    }
    body, headers = multipart(form) if kind == "multipart" else (urlencode(form).encode(), FORM)
    callbacks = of("mailgun").callbacks()
    raw = posted(body, headers)
    found = verdict(callbacks, raw)
    assert isinstance(found, Verified)
    assert found.follow is None
    [receipt] = callbacks.receipts(raw)
    assert (receipt.type, receipt.address, receipt.text) == (ReceiptType.INBOUND, TO, "Hé")
    assert receipt.at == NOW


def once_of(raw: RawCallback) -> Once:
    found = verdict(of("mailgun").callbacks(), raw)
    assert isinstance(found, Verified)
    assert found.once is not None
    return found.once


def test_a_proof_of_mailguns_is_good_for_one_event() -> None:
    raw = mailgun({"event": "delivered", "id": "1"}, 0, NOW_SECONDS)
    proof = json.loads(raw.body)["signature"]
    forged = json.dumps({"signature": proof, "event-data": {"event": "complained", "id": "2"}})
    first, other = once_of(raw), once_of(replace(raw, body=forged.encode()))
    assert (first.token, first.signed_at) == (proof["token"], NOW_SECONDS)
    assert (other.token, other.signed_at) == (proof["token"], NOW_SECONDS)
    assert first.says != other.says
    assert once_of(raw) == first


def test_a_form_of_mailguns_is_the_same_within_other_boundaries() -> None:
    proof = json.loads(mailgun({}, 0, NOW_SECONDS).body)["signature"]
    body, headers = multipart({**proof, "sender": TO, "stripped-text": "Hé"})
    again = body.replace(b"--xYz", b"--zYx")
    other = body.replace("Hé".encode(), b"Ha")
    first = once_of(posted(body, headers))
    assert once_of(posted(again, {"content-type": "multipart/form-data; boundary=zYx"})) == first
    assert once_of(posted(other, headers)).says != first.says


def test_postmark_may_send_a_header_of_ours() -> None:
    callbacks = of("postmark").callbacks()
    assert verdict(callbacks, posted(b"{}", {"x-tidings-token": "token-two"})) == Verified()
    assert isinstance(verdict(callbacks, posted(b"{}", {"x-tidings-token": "token"})), Refused)
    bad = {"authorization": "Basic ÿ"}
    assert isinstance(verdict(callbacks, posted(b"{}", bad)), Refused)


# --- settings, and what all share ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sendgrid", {"webhook_keys": ("no key",)}),
        ("sendgrid", {"webhook_keys": (b64encode(b"no key").decode(),)}),
        ("resend", {"webhook_secrets": ("whsec_?",)}),
        ("ses", {"sns_endpoint": "https://sns.example"}),
    ],
)
def test_what_cannot_verify_is_told_without_showing_it(name: str, values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        of(name).callbacks(**values)
    [field] = values
    assert f"accounts.mine.{field}" in str(caught.value)
    assert "no key" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NOW.timestamp(), NOW),
        (str(NOW_SECONDS), NOW),
        (NOW_SECONDS * 1000, NOW),
        ("2026-01-01T12:00:00Z", NOW),
        ("2026-01-01T14:30:00.5+02:30", NOW + timedelta(seconds=0.5)),
        ("2026-01-01 12:00:00", NOW),
        ("20260101", None),  # digits are seconds since the epoch, these of 1970
        (True, None),
        (None, None),
        ("soon", None),
        (-5, None),
        (1e300, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_moments(value: object, expected: Any) -> None:
    otherwise = NOW + timedelta(days=1)
    found = moment(value, otherwise.timestamp())
    assert found == (expected or otherwise)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("5.1.1", Bounce.HARD),
        ("550 5.1.10 null MX", Bounce.HARD),
        ("5.2.2", Bounce.SOFT),
        ("5.7.1", Bounce.SOFT),
        ("4.1.1", Bounce.SOFT),
        ("5.0.0", Bounce.HARD),
        ("", Bounce.HARD),
    ],
)
def test_bounces_by_status(status: str, expected: Bounce) -> None:
    assert bounce_of(status, Bounce.HARD) is expected


def test_without_callbacks_there_are_none() -> None:
    made = account("sns", "http://localhost:1")[1]
    assert Catalogue().callbacks_of(made, CallbackPorts(Amazon())) is None


def test_a_package_brings_what_reads_its_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("pigeon", "tests.providers.plugin:CALLING", catalogue.GROUP)
    monkeypatch.setattr(catalogue, "entry_points", lambda *, group: (entry,))
    made = replace(account("sns", "http://localhost:1")[1], provider="carrier_pigeon")
    callbacks = read_catalogue().callbacks_of(made, CallbackPorts(Amazon()))
    assert callbacks is not None
    with pytest.raises(UnreadableCallback):
        callbacks.receipts(posted(b"coo", {}))
