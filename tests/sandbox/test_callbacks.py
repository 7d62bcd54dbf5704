"""Callbacks, checked by the vendors' own libraries where there are such."""

import base64
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
import svix.webhooks
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator
from vonage_jwt import verify_signature
from vonage_sms import SmsMessage

from tests.sandbox.test_clients import (
    amazon,
    mailgun_send,
    sendgrid_send,
    ses_send,
    twilio,
    vonage,
)
from tests.sandbox.test_recipients import send as postmark_send
from tests.support.sandbox import Box, Listener, fetch, listening, sandbox
from tidings.sandbox import topic
from tidings.sandbox.credentials import public_key, signing_secret
from tidings.sandbox.vendors import mailgun, postmark
from tidings.sandbox.vendors import vonage as vonages


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def calling(listener: Listener) -> Iterator[Box]:
    """A sandbox that calls the listener back."""
    with sandbox(listener.url) as found:
        yield found


def test_sendgrid(calling: Box, listener: Listener) -> None:
    sendgrid_send(calling, "bounce@example.com")
    [told] = listener.wait(1)
    assert told.path == "/callbacks/sendgrid/sendgrid"
    verify = EventWebhook(public_key("sendgrid")).verify_signature
    signature = told.headers["x-twilio-email-event-webhook-signature"]
    timestamp = told.headers["x-twilio-email-event-webhook-timestamp"]
    assert verify(told.body.decode(), signature, timestamp)
    assert not verify(told.body.decode() + " ", signature, timestamp)
    [event] = told.document
    assert (event["event"], event["type"], event["email"]) == (
        "bounce",
        "bounce",
        "bounce@example.com",
    )
    assert event["sg_message_id"].startswith(calling.message()["message_id"])


def test_mailgun(calling: Box, listener: Listener) -> None:
    mailgun_send(calling, "complain@example.com", **{"v:delivery_id": "7", "o:tag": "news"})
    told = listener.wait(2)
    signature = told[1].document["signature"]
    signed = (signature["timestamp"] + signature["token"]).encode()
    digest = hmac.new(mailgun.SIGNING_KEY.encode(), signed, "sha256").hexdigest()
    assert signature["signature"] == digest
    events = [one.document["event-data"] for one in told]
    assert sorted(one["event"] for one in events) == ["complained", "delivered"]
    assert (events[0]["user-variables"], events[0]["tags"]) == ({"delivery_id": "7"}, ["news"])


def test_postmark(calling: Box, listener: Listener) -> None:
    postmark_send(calling, "click@example.com", Metadata={"delivery_id": "7"})
    told = listener.wait(3)
    pair = f"{postmark.WEBHOOK_USER}:{postmark.WEBHOOK_PASSWORD}".encode()
    assert {one.headers["authorization"] for one in told} == {
        f"Basic {base64.b64encode(pair).decode()}"
    }
    kinds = {one.document["RecordType"]: one.document for one in told}
    assert kinds.keys() == {"Delivery", "Open", "Click"}
    assert kinds["Click"]["Metadata"] == {"delivery_id": "7"}


def test_resend(calling: Box, listener: Listener) -> None:
    account = calling.account("resend")
    mail = {"from": "a@example.com", "to": "delay@example.com", "subject": "Hi", "text": "Hello"}
    headers = {"authorization": f"Bearer {account['api_key']}"}
    fetch(f"{account['endpoint']}/emails", mail, headers=headers)
    told = listener.wait(2)
    verifier = svix.webhooks.Webhook(signing_secret("resend"))
    for one in told:
        verifier.verify(one.body, one.headers)
        with pytest.raises(svix.webhooks.WebhookVerificationError):
            verifier.verify(one.body + b" ", one.headers)
    kinds = {one.document["type"] for one in told}
    assert kinds == {"email.delivery_delayed", "email.delivered"}


def test_twilio(calling: Box, listener: Listener) -> None:
    account = calling.account("twilio")
    callback = f"{account['status_callback']}?delivery=7&empty="
    twilio(calling).messages.create(
        to="+12025550110", from_="+15005550006", body="Hello", status_callback=callback
    )
    told = listener.wait(2)
    forms = [dict(urllib.parse.parse_qsl(one.body.decode())) for one in told]
    validator = RequestValidator(account["auth_token"])
    for one, form in zip(told, forms, strict=True):
        assert validator.validate(one.url, form, one.headers["x-twilio-signature"])
        assert not validator.validate(one.url + "1", form, one.headers["x-twilio-signature"])
    [status] = [one for one in forms if "MessageStatus" in one]
    [reply] = [one for one in forms if "Body" in one]
    assert (status["MessageStatus"], status["To"]) == ("delivered", "+12025550110")
    assert (reply["Body"], reply["From"], reply["To"]) == ("STOP", "+12025550110", "+15005550006")


def test_vonage(calling: Box, listener: Listener) -> None:
    vonage(calling).send(SmsMessage(to="12025550103", from_="SHOP", text="Hello", client_ref="7"))
    [told] = listener.wait(1)
    token = told.headers["authorization"].removeprefix("Bearer ")
    assert verify_signature(token, vonages.SIGNATURE_SECRET)
    assert not verify_signature(token, "other" * 8)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["payload_hash"] == hashlib.sha256(told.body).hexdigest()
    receipt = told.document
    assert (receipt["status"], receipt["client-ref"]) == ("failed", "7")


def test_ses_by_way_of_sns(calling: Box, listener: Listener) -> None:
    ses_send(amazon(calling, "sesv2", "ses"), "bounce@example.com")
    [asking] = listener.wait(1)
    asked = verified(calling, asking.document, confirmed=False)
    assert asked["Type"] == "SubscriptionConfirmation"
    assert fetch(here(calling, asked["SubscribeURL"])).status == 200
    told = verified(calling, listener.wait(2)[1].document, confirmed=True)
    event = json.loads(told["Message"])
    assert (event["eventType"], event["bounce"]["bounceType"]) == ("Bounce", "Permanent")
    assert event["mail"]["messageId"] == calling.message()["message_id"]
    assert event["mail"]["tags"] == {"order": ["7"]}


def here(box: Box, url: str) -> str:
    """What is Amazon's, with the sandbox."""
    return url.replace("https://sns.eu-west-1.amazonaws.com", box.url)


def verified(box: Box, said: Any, *, confirmed: bool) -> Any:
    """By the certificate that it names, as Amazon describes it."""
    certificate = x509.load_pem_x509_certificate(fetch(here(box, said["SigningCertURL"])).body)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if not confirmed:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{said[name]}\n" for name in names)
    key.verify(base64.b64decode(said["Signature"]), text.encode(), padding.PKCS1v15(), SHA256())
    assert said["TopicArn"] == topic.ARN
    return said


def test_again_when_there_was_no_time(listener: Listener) -> None:
    listener.answers = [503, 429]
    with sandbox(listener.url) as box:
        postmark_send(box, "ann@example.com")
        told = listener.wait(3)
        assert len({one.body for one in told}) == 1
        message = box.until(lambda: next((m for m in box.messages() if answered(m)), None))
    assert message["events"][0]["callback"] == "HTTP 200"


def answered(message: Any) -> bool:
    return bool(message["events"][0]["callback"] == "HTTP 200")


def test_a_refusal_is_shown(calling: Box, listener: Listener) -> None:
    listener.answers = [403]
    postmark_send(calling, "ann@example.com")
    listener.wait(1)
    message = calling.until(
        lambda: next((m for m in calling.messages() if m["events"][0]["callback"]), None)
    )
    assert message["events"][0]["callback"] == "HTTP 403"


def test_by_hand(calling: Box, listener: Listener) -> None:
    postmark_send(calling, "silent@example.com")
    url = f"{calling.url}/sandbox/messages/1/events"
    assert fetch(url, {"happening": "complained"}).status == 204
    [told] = listener.wait(1)
    assert told.document["RecordType"] == "SpamComplaint"
    assert fetch(url, {"happening": "replied"}).status == 400
    assert fetch(url, {"happening": "opened", "recipient": "other@example.com"}).status == 400
    assert fetch(url.replace("/1/", "/9/"), {"happening": "opened"}).status == 404


def test_whatever_may_become_of_a_message_is_told(listener: Listener) -> None:
    """With every vendor, by hand; nothing of it brings the sandbox down."""
    with sandbox(listener.url) as box:
        sendgrid_send(box, "silent@example.com")
        mailgun_send(box, "silent@example.com")
        postmark_send(box, "silent@example.com")
        ses_send(amazon(box, "sesv2", "ses"), "silent@example.com")
        twilio(box).messages.create(
            to="+12025550109", from_="+15005550006", body="Hi", status_callback=listener.url
        )
        vonage(box).send(SmsMessage(to="12025550109", from_="SHOP", text="Hi"))
        known = fetch(f"{box.url}/sandbox/about").document["happenings"]
        for message in box.messages():
            for happening in known[message["channel"]]:
                url = f"{box.url}/sandbox/messages/{message['number']}/events"
                assert fetch(url, {"happening": happening}).status == 204
        asking = [one for one in listener.wait_for(b"SubscribeURL") if b"SubscribeURL" in one.body]
        fetch(here(box, asking[0].document["SubscribeURL"]))  # Amazon tells nothing before that
        message = box.until(
            lambda: next((m for m in box.messages(vendor="ses") if told_all(m)), None)
        )
        assert len(message["events"]) == len(known["email"])
        for message in box.messages():
            assert len(message["events"]) == len(known[message["channel"]])


def told_all(message: Any) -> bool:
    return all(event["callback"] == "HTTP 200" for event in message["events"])
