"""Firebase before its documented answers: what is asked, how it signs in, and what an answer means."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest

from tests.providers.http_server import Connection, HttpStandIn, Received
from tests.providers.vendor_answers import (
    FCM,
    FCM_ACCOUNT,
    FCM_BAD,
    FCM_KEY,
    FCM_TAKEN,
    FCM_TOKEN,
    fcm_access,
    fcm_refusal,
)
from tests.providers.vendors import (
    MARK,
    NOTIFICATION,
    NOW,
    SIGN_IN,
    Reply,
    account,
    answer,
    delivery,
    no_store,
    push,
)
from tests.support.sandbox import fetch, sandbox
from tidings.domain.messages import Message, PushContent, SmsContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Provider
from tidings.domain.push import push_service_of
from tidings.domain.reasons import Reason
from tidings.providers.catalogue import Ports, provider_of
from tidings.providers.fcm.signing_in import RENEW_BEFORE
from tidings.providers.http_client import HttpClient
from tidings.settings import SettingsError

pytestmark = pytest.mark.anyio
DENIED = fcm_refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")


@dataclass
class Google:
    """Answers one after the other, the last for ever. signing_in: of the token endpoint."""

    replies: Sequence[Reply] = (FCM_TAKEN,)
    signing_in: Sequence[Reply] = (fcm_access("one"), fcm_access("two"))
    now: float = NOW.timestamp()
    signed_in: list[Received] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    async def script(self, connection: Connection) -> None:
        while True:
            received = await connection.read()
            kept, replies = (
                (self.signed_in, self.signing_in)
                if received.target == SIGN_IN
                else (self.received, self.replies)
            )
            kept.append(received)
            await answer(connection, replies[min(len(kept), len(replies)) - 1])

    @property
    def tokens(self) -> list[str]:
        return [received.headers["authorization"] for received in self.received]


@asynccontextmanager
async def opened(google: Google, **values: Any) -> AsyncIterator[Provider]:
    http = HttpClient()
    async with HttpStandIn(google.script) as server:
        url = server.url("")
        _, mine = account("fcm", url, 10.0, **{**FCM.values_at(url), **values})
        ports = Ports(http, http, no_store, no_store, clock=lambda: google.now)
        provider = provider_of(mine, ports)
        yield provider
        await provider.close()
    await http.close()


async def told(reply: Reply, message: Message | None = None, **values: Any) -> tuple[Outcome, Any]:
    """The outcome, and the message that Firebase got, if it got one."""
    google = Google((reply,))
    async with opened(google, **values) as provider:
        [outcome] = await provider.send([message or push(FCM_TOKEN)])
    return outcome, json.loads(google.received[0].body)["message"] if google.received else None


async def test_what_firebase_gets() -> None:
    outcome, message = await told(FCM_TAKEN)
    assert outcome == Accepted("projects/shop-1234/messages/0:1767268800%1", detail="HTTP 200")
    weeks = 28 * 86_400
    assert message == {
        "token": FCM_TOKEN,
        "notification": {"title": "Hello", "body": f"There {MARK}"},
        "data": {
            "notification_id": str(NOTIFICATION),
            "delivery_id": str(delivery(0)),
            "url": "https://example.com/orders/7",
        },
        "android": {"priority": "HIGH", "ttl": f"{weeks}s"},
        "apns": {
            "headers": {
                "apns-priority": "10",
                "apns-expiration": str(int(NOW.timestamp()) + weeks),
            }
        },
        "webpush": {
            "headers": {"TTL": str(weeks), "Urgency": "high"},
            "fcm_options": {"link": "https://example.com/orders/7"},
        },
    }


async def test_it_is_kept_no_longer_than_it_is_of_use() -> None:
    expiring = push(FCM_TOKEN, expires_at=NOW + timedelta(seconds=90))
    _, message = await told(FCM_TAKEN, expiring, priority="normal")
    assert message["android"] == {"priority": "NORMAL", "ttl": "90s"}
    assert message["webpush"]["headers"] == {"TTL": "90", "Urgency": "normal"}
    _, message = await told(FCM_TAKEN, expiring, ttl=60)
    assert message["android"]["ttl"] == "60s"
    _, message = await told(FCM_TAKEN, ttl=0)
    assert message["apns"]["headers"]["apns-expiration"] == "0"


async def test_a_link_that_firebase_takes_not_is_for_the_app_alone() -> None:
    message = push(FCM_TOKEN, content=PushContent("Hello", "there", "shop://orders/7"))
    _, sent = await told(FCM_TAKEN, message)
    assert sent["data"]["url"] == "shop://orders/7"
    assert "fcm_options" not in sent["webpush"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (push(FCM_TOKEN, content=PushContent("", " ")), Reason.CONTENT_REJECTED),
        (push(FCM_TOKEN, content=PushContent("\ud800", "x")), Reason.CONTENT_REJECTED),
        (push(FCM_TOKEN, content=SmsContent("x")), Reason.CONTENT_REJECTED),
        (push(FCM_TOKEN, content=PushContent("x", "y" * 4096)), Reason.MESSAGE_TOO_LARGE),
        (push("ab" * 32), Reason.ADDRESS_INVALID),
        (push('{"endpoint": "https://push.example"}'), Reason.ADDRESS_INVALID),
    ],
)
async def test_what_cannot_be_sent_is_not_tried(message: Message, reason: Reason) -> None:
    outcome, sent = await told(FCM_TAKEN, message)
    assert isinstance(outcome, Permanent)
    assert (outcome.reason, sent) == (reason, None)


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (
            fcm_refusal(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED"),
            Permanent,
            Reason.ENDPOINT_GONE,
        ),
        (
            fcm_refusal(404, "NOT_FOUND", "Requested entity was not found."),
            Transient,
            Reason.ACCOUNT_REFUSED,
        ),
        (
            fcm_refusal(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"),
            Permanent,
            Reason.ADDRESS_INVALID,
        ),
        (
            fcm_refusal(403, "PERMISSION_DENIED", "Permission denied on the project."),
            Transient,
            Reason.ACCOUNT_REFUSED,
        ),
        (
            fcm_refusal(401, "UNAUTHENTICATED", "APNs", "THIRD_PARTY_AUTH_ERROR"),
            Transient,
            Reason.ACCOUNT_REFUSED,
        ),
        (
            fcm_refusal(
                400,
                "INVALID_ARGUMENT",
                "The registration token is not a valid FCM registration token",
                "INVALID_ARGUMENT",
            ),
            Permanent,
            Reason.ADDRESS_INVALID,
        ),
        (
            fcm_refusal(400, "INVALID_ARGUMENT", "Message is too big", "INVALID_ARGUMENT"),
            Permanent,
            Reason.MESSAGE_TOO_LARGE,
        ),
        (FCM_BAD, Permanent, Reason.CONTENT_REJECTED),
        (
            fcm_refusal(503, "UNAVAILABLE", "…", "UNAVAILABLE"),
            Transient,
            Reason.PROVIDER_UNAVAILABLE,
        ),
        (fcm_refusal(500, "INTERNAL", "…", "INTERNAL"), Transient, Reason.PROVIDER_UNAVAILABLE),
        (Reply(403, {"error": {"details": 7}}), Transient, Reason.CREDENTIALS_REFUSED),
        (Reply(403, {"error": "no"}), Transient, Reason.CREDENTIALS_REFUSED),
    ],
)
async def test_documented_errors(reply: Reply, kind: type, reason: Reason) -> None:
    outcome, _ = await told(reply)
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    assert getattr(outcome, "suppress", False) is (reason is Reason.ENDPOINT_GONE)


async def test_it_signs_in_once_for_all() -> None:
    google = Google()
    async with opened(google) as provider:
        await asyncio.gather(*(provider.send([push(FCM_TOKEN, n)]) for n in range(20)))
    assert google.tokens == ["Bearer one"] * 20
    [received] = google.signed_in
    form = parse_qs(received.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    [assertion] = form["assertion"]
    claims = jwt.decode(
        assertion,
        FCM_KEY.public_key(),
        algorithms=["RS256"],
        options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
    )
    now = int(NOW.timestamp())
    assert claims["aud"].endswith(SIGN_IN)
    assert {name: claims[name] for name in ("iss", "scope", "iat", "exp")} == {
        "iss": FCM_ACCOUNT["client_email"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "iat": now,
        "exp": now + 3600,
    }
    assert jwt.get_unverified_header(assertion)["kid"] == "key-1"


async def test_a_token_is_renewed_beside_the_calls_before_it_ends() -> None:
    google = Google()
    async with opened(google) as provider:
        await provider.send([push(FCM_TOKEN)])
        google.now += 3600 - RENEW_BEFORE
        await provider.send([push(FCM_TOKEN)])
        while len(google.signed_in) < 2:
            await provider.send([push(FCM_TOKEN)])
        await provider.send([push(FCM_TOKEN)])
        await provider.send([push(FCM_TOKEN)])
    assert google.tokens[:2] == ["Bearer one", "Bearer one"]
    assert google.tokens[-1] == "Bearer two"
    assert len(google.signed_in) == 2


async def test_a_token_that_has_ended_is_not_used() -> None:
    google = Google()
    async with opened(google) as provider:
        await provider.send([push(FCM_TOKEN)])
        google.now += 3600
        await provider.send([push(FCM_TOKEN)])
    assert google.tokens == ["Bearer one", "Bearer two"]


async def test_a_refused_token_is_renewed_once() -> None:
    google = Google((DENIED, FCM_TAKEN))
    async with opened(google) as provider:
        [outcome] = await provider.send([push(FCM_TOKEN)])
    assert isinstance(outcome, Accepted)
    assert google.tokens == ["Bearer one", "Bearer two"]
    google = Google((DENIED,))
    async with opened(google) as provider:
        [outcome] = await provider.send([push(FCM_TOKEN)])
    assert outcome == Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 401 UNAUTHENTICATED")
    assert google.tokens == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            Reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
            Transient(Reason.CREDENTIALS_REFUSED, detail="signing in: HTTP 400 invalid_grant"),
        ),
        (
            Reply(429, "slow down", {"Retry-After": "7"}),
            Transient(Reason.PROVIDER_THROTTLED, 7.0, "signing in: HTTP 429"),
        ),
        (
            Reply(502, "<html>"),
            Transient(Reason.PROVIDER_UNAVAILABLE, detail="signing in: HTTP 502"),
        ),
        (
            fcm_access("a b\r\n"),
            Transient(Reason.PROVIDER_UNAVAILABLE, detail="signing in: an unreadable answer"),
        ),
        (
            Reply(200, "<html>"),
            Transient(Reason.PROVIDER_UNAVAILABLE, detail="signing in: an unreadable answer"),
        ),
    ],
)
async def test_without_a_token_nothing_is_sent(reply: Reply, expected: Outcome) -> None:
    google = Google(signing_in=(reply,))
    async with opened(google) as provider:
        assert await provider.send([push(FCM_TOKEN)]) == [expected]
    assert google.received == []


def changed(**changes: Any) -> str:
    return json.dumps({**FCM_ACCOUNT, **changes})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"service_account": "{"}, "it is not JSON"),
        ({"service_account": "[]"}, "it is not a JSON object"),
        ({"service_account": changed(project_id="../x")}, "project_id"),
        ({"service_account": changed(client_email=7)}, "client_email"),
        ({"service_account": changed(private_key="secret")}, "private_key cannot be read"),
        ({"token_endpoint": "http://oauth2.googleapis.com/token"}, "it is https"),
    ],
)
def test_fields_that_cannot_be_used(values: dict[str, str], said: str) -> None:
    defaults = {**FCM.values_at("http://127.0.0.1:1")}
    _, mine = account("fcm", "https://fcm.googleapis.com", 10.0, **{**defaults, **values})
    http = HttpClient()
    with pytest.raises(SettingsError, match=said) as raised:
        provider_of(mine, Ports(http, http, no_store, no_store))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "service"),
    [
        (FCM_TOKEN, "fcm"),
        ("ab" * 32, "apns"),
        ("AB" * 80, "apns"),
        ("ab" * 31, "fcm"),
        ("ab" * 32 + "g", "fcm"),
        ('{"endpoint":"https://push.example/1"}', "webpush"),
        ("", "fcm"),
    ],
)
def test_the_service_of_an_address(address: str, service: str) -> None:
    assert push_service_of(address) == service


def test_with_the_sandbox() -> None:
    tokens = ("phone:7", "unregistered-7", "throttle-7", "invalid-7")

    async def run(url: str, key: str) -> Sequence[Outcome]:
        http = HttpClient()
        _, mine = account("fcm", url, 10.0, service_account=key)
        provider = provider_of(mine, Ports(http, http, no_store, no_store))
        try:
            assert "HTTP 200" in await provider.check()
            return [(await provider.send([push(token)]))[0] for token in tokens]
        finally:
            await provider.close()
            await http.close()

    with sandbox() as box:
        key = json.dumps(fetch(f"{box.url}/fcm/service-account.json").document)
        taken, *refused = asyncio.run(run(f"{box.url}/fcm", key))
        message = box.message(vendor="fcm")
    assert taken == Accepted(message["message_id"], detail="HTTP 200")
    assert (message["subject"], message["text"]) == ("Hello", f"There {MARK}")
    assert message["reference"]["delivery_id"] == str(delivery(0))
    reasons = [getattr(one, "reason", None) for one in refused]
    assert reasons == [Reason.ENDPOINT_GONE, Reason.PROVIDER_THROTTLED, Reason.ADDRESS_INVALID]
