"""Web Push before a push service: what it gets, what the browser reads, and what an answer means."""

import asyncio
import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.http_server import HttpStandIn, Received
from tests.providers.vendor_answers import (
    BROWSER_AUTH,
    BROWSER_KEY,
    BROWSER_POINT,
    VAPID_KEY,
    WEBPUSH,
    WEBPUSH_BAD,
    WEBPUSH_TAKEN,
    base64url,
    seen_by_browser,
    subscription,
)
from tests.providers.vendors import (
    MARK,
    NOTIFICATION,
    NOW,
    Reply,
    account,
    answering,
    delivery,
    no_store,
    push,
)
from tests.support.sandbox import fetch, sandbox
from tidings.domain.messages import Message, PushContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Provider
from tidings.domain.reasons import Reason
from tidings.providers.catalogue import Ports, provider_of
from tidings.providers.guard import Guard, read_allowed
from tidings.providers.guarded import GuardedHttp
from tidings.providers.http import Request
from tidings.providers.webpush.encryption import LONGEST, RECORD, encrypt
from tidings.settings import SettingsError

pytestmark = pytest.mark.anyio
ENDPOINT = "https://push.example.net/push/subscription-7"


class Vendors:
    """The client for vendors' servers, which a push service is not."""

    async def send(self, request: Request) -> Transient:
        raise AssertionError("recipients choose the endpoint: it is called through the guard")

    async def close(self) -> None:
        """Nothing is open."""


def made(guarded: Any, now: list[float] | None = None, /, **values: Any) -> Provider:
    _, mine = account("webpush", "", 10.0, **{**WEBPUSH.values, **values})
    moments = now or [NOW.timestamp()]
    return provider_of(mine, Ports(Vendors(), guarded, no_store, no_store, lambda: moments[0]))


async def told(
    reply: Reply, message: Message | None = None, allowed: str = "127.0.0.1", **values: Any
) -> tuple[Outcome, list[Received], str]:
    """The outcome, what came to the push service, and where that is."""
    guarded = GuardedHttp(Guard(read_allowed((allowed,))))
    async with HttpStandIn(answering(lambda _: reply)) as server:
        address = subscription(server.url("/push/subscription-7"))
        provider = made(guarded, **values)
        [outcome] = await provider.send([message or push(address)])
        url = server.url("")
    await guarded.close()
    return outcome, server.received, url


def parts(authorization: str) -> dict[str, str]:
    kind, _, rest = authorization.partition(" ")
    assert kind == "vapid"
    return dict(part.strip().split("=", 1) for part in rest.split(","))


class Keeping:
    """Keeps what it is to send."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Transient:
        self.requests.append(request)
        return Transient(Reason.CONNECTION_FAILED)

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def tokens(self) -> list[str]:
        return [parts(one.headers["authorization"])["t"] for one in self.requests]


async def test_what_the_browser_reads() -> None:
    outcome, [received], _ = await told(WEBPUSH_TAKEN)
    assert outcome == Accepted("qDIYHNcfAIPP_5ITvURr", detail="HTTP 201")
    assert (received.method, received.target) == ("POST", "/push/subscription-7")
    headers = {name: received.headers[name] for name in ("content-encoding", "ttl", "urgency")}
    assert headers == {"content-encoding": "aes128gcm", "ttl": "2419200", "urgency": "high"}
    assert seen_by_browser(received) == {
        "title": "Hello",
        "body": f"There {MARK}",
        "url": "https://example.com/orders/7",
        "notification_id": str(NOTIFICATION),
        "delivery_id": str(delivery(0)),
    }


async def test_who_sends_is_signed_for_each_service() -> None:
    _, [received], url = await told(WEBPUSH_TAKEN)
    said = parts(received.headers["authorization"])
    point = urlsafe_b64decode(said["k"] + "==")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert key.public_numbers() == VAPID_KEY.public_key().public_numbers()
    claims = jwt.decode(
        said["t"], key, algorithms=["ES256"], audience=url, options={"verify_exp": False}
    )
    assert claims["sub"] == "mailto:shop@example.com"
    assert 0 < claims["exp"] - NOW.timestamp() <= 86_400


async def test_a_token_serves_for_hours_and_one_service_only() -> None:
    now, http = [NOW.timestamp()], Keeping()
    provider = made(http, now)
    other = "https://other.example:8443/x"
    for hours, endpoint in ((0, ENDPOINT), (5, ENDPOINT), (5, other), (7, ENDPOINT)):
        now[0] = NOW.timestamp() + hours * 3600
        await provider.send([push(subscription(endpoint))])
    first, second, third, fourth = http.tokens
    assert first == second
    assert len({first, third, fourth}) == 3
    claims = jwt.decode(third, options={"verify_signature": False})
    assert claims["aud"] == "https://other.example:8443"
    ends = jwt.decode(fourth, options={"verify_signature": False})["exp"]
    assert ends > now[0] + 6 * 3600


async def test_it_is_kept_no_longer_than_it_is_of_use() -> None:
    http = Keeping()
    expiring = push(subscription(ENDPOINT), expires_at=NOW + timedelta(seconds=90))
    await made(http, priority="normal").send([expiring])
    [request] = http.requests
    assert (request.headers["ttl"], request.headers["urgency"]) == ("90", "normal")


@given(text=st.binary(max_size=LONGEST), auth=st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_fits_and_is_read(text: bytes, auth: bytes) -> None:
    sealed = encrypt(text, BROWSER_KEY.public_key(), BROWSER_POINT, auth)
    assert len(sealed) <= RECORD
    assert http_ece.decrypt(sealed, private_key=BROWSER_KEY, auth_secret=auth) == text


async def test_a_compressed_key_is_as_good() -> None:
    http = Keeping()
    point = BROWSER_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    to = subscription(ENDPOINT).replace(base64url(BROWSER_POINT), base64url(point))
    await made(http).send([push(to)])
    [request] = http.requests
    text = http_ece.decrypt(request.body, private_key=BROWSER_KEY, auth_secret=BROWSER_AUTH)
    assert json.loads(text)["title"] == "Hello"


async def test_no_two_are_sealed_alike() -> None:
    http = Keeping()
    provider = made(http)
    for _ in range(2):
        await provider.send([push(subscription(ENDPOINT))])
    first, second = (request.body for request in http.requests)
    assert first[:86] != second[:86]


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (Reply(404), Permanent, Reason.ENDPOINT_GONE),
        (Reply(410), Permanent, Reason.ENDPOINT_GONE),
        (Reply(413), Permanent, Reason.MESSAGE_TOO_LARGE),
        (WEBPUSH_BAD, Permanent, Reason.CONTENT_REJECTED),
        (Reply(401), Transient, Reason.CREDENTIALS_REFUSED),
        (Reply(406), Transient, Reason.PROVIDER_THROTTLED),
        (Reply(500), Transient, Reason.PROVIDER_UNAVAILABLE),
        (Reply(503), Transient, Reason.PROVIDER_UNAVAILABLE),
        (Reply(301), Transient, Reason.ACCOUNT_REFUSED),
    ],
)
async def test_documented_errors(reply: Reply, kind: type, reason: Reason) -> None:
    outcome, _, _ = await told(reply)
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    assert getattr(outcome, "suppress", False) is (reason is Reason.ENDPOINT_GONE)


async def test_a_service_says_how_long_to_wait() -> None:
    outcome, _, _ = await told(Reply(429, "", {"Retry-After": "35"}))
    assert outcome == Transient(Reason.PROVIDER_THROTTLED, 35.0, "HTTP 429")


async def test_an_endpoint_is_called_through_the_guard() -> None:
    outcome, received, _ = await told(WEBPUSH_TAKEN, allowed="10.0.0.1")
    assert isinstance(outcome, Permanent)
    assert outcome.reason is Reason.ADDRESS_FORBIDDEN
    assert received == []


def without(name: str) -> str:
    said = json.loads(subscription(ENDPOINT))
    del said["keys"][name]
    return json.dumps(said)


@pytest.mark.parametrize(
    "address",
    [
        "{",
        "{}",
        '{"endpoint": 7, "keys": 8}',
        without("auth"),
        without("p256dh"),
        subscription(ENDPOINT, auth=b"short"),
        subscription(ENDPOINT).replace(base64url(BROWSER_POINT), base64url(b"\4" + b"x" * 64)),
        subscription(ENDPOINT).replace(base64url(BROWSER_AUTH), "a+b/"),
        subscription("http://push.example.net/push/7"),
        subscription("https://user:password@push.example.net/"),
        subscription("file:///etc/passwd"),
        subscription("not a url"),
    ],
)
async def test_what_is_no_subscription_is_not_tried(address: str) -> None:
    http = Keeping()
    [outcome] = await made(http).send([push(address)])
    assert outcome == Permanent(Reason.ADDRESS_INVALID, detail="not a subscription")
    assert http.requests == []


async def test_another_service_is_left_alone() -> None:
    [outcome] = await made(Keeping()).send([push("fGh7:token")])
    assert outcome == Permanent(Reason.ADDRESS_INVALID, detail="not an address of this service")


async def test_what_is_too_long_is_not_cut() -> None:
    message = push(subscription(ENDPOINT), content=PushContent("x", "y" * LONGEST))
    [outcome] = await made(Keeping()).send([message])
    assert outcome == Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {LONGEST} bytes")


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


async def test_a_key_may_be_pem() -> None:
    in_pem = await made(Keeping(), private_key=pem(VAPID_KEY)).check()
    assert in_pem == await made(Keeping()).check()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"private_key": "secret"}, "private_key"),
        ({"private_key": base64url(b"secret" * 6)}, "private_key"),
        ({"private_key": base64url(bytes(32))}, "private_key"),
        ({"private_key": pem(ec.generate_private_key(ec.SECP384R1()))}, "private_key"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----secret"}, "private_key"),
        ({"subject": "shop@example.com"}, "subject"),
        ({"subject": "http://example.com"}, "subject"),
    ],
)
def test_fields_that_cannot_be_used(values: dict[str, Any], name: str) -> None:
    with pytest.raises(SettingsError, match=f"accounts.mine.{name}") as raised:
        made(Keeping(), **values)
    assert "secret" not in str(raised.value)


def test_with_the_sandbox() -> None:
    names = ("phone-7", "bounce-7", "throttle-7")

    async def run(subscriptions: list[str], values: dict[str, Any]) -> list[Outcome]:
        guarded = GuardedHttp(Guard(read_allowed(("127.0.0.1",))))
        _, mine = account("webpush", "", 10.0, **values)
        provider = provider_of(mine, Ports(Vendors(), guarded, no_store, no_store))
        try:
            return [(await provider.send([push(one)]))[0] for one in subscriptions]
        finally:
            await guarded.close()

    with sandbox() as box:
        mine = box.account("webpush")
        del mine["provider"]
        given = [fetch(f"{box.url}/webpush/subscriptions/{name}").body.decode() for name in names]
        taken, *refused = asyncio.run(run(given, mine))
        message = box.message(vendor="webpush")
    assert taken == Accepted(message["message_id"], detail="HTTP 201")
    assert (message["subject"], message["text"]) == ("Hello", f"There {MARK}")
    assert message["fields"] == {"ttl": "2419200", "urgency": "high"}
    reasons = [getattr(one, "reason", None) for one in refused]
    assert reasons == [Reason.ENDPOINT_GONE, Reason.PROVIDER_THROTTLED]
