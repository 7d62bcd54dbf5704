"""Apple's push service over HTTP/2: what it gets, who signs it, and what an answer means."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.providers.certificates import HostAuthority
from tests.providers.http2_server import Http2StandIn
from tests.providers.http_server import Received
from tests.providers.vendor_answers import (
    APNS,
    APNS_DEVICE,
    APNS_KEY,
    APNS_TAKEN,
    apns_refusal,
)
from tests.providers.vendors import (
    MARK,
    NOTIFICATION,
    NOW,
    Reply,
    account,
    delivery,
    exchange,
    no_store,
    push,
)
from tests.support.sandbox import sandbox
from tidings.domain.messages import Message, PushContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Provider, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.apns.signing import SHORTEST, USED
from tidings.providers.catalogue import Ports, provider_of
from tidings.providers.http_client import HttpClient
from tidings.settings import SettingsError

EXPIRED = b'{"reason":"ExpiredProviderToken"}'


class Apple:
    """Speaks HTTP/2 only. now: seconds since the epoch. expired: the tokens that it takes no longer."""

    def __init__(self, folder: Path) -> None:
        authority = HostAuthority(folder)
        self.pem = authority.pem
        self.now = NOW.timestamp()
        self.expired: Callable[[str], bool] = lambda _: False
        self.server = Http2StandIn(authority.server("localhost"), says=self._says)

    def _says(self, received: Received) -> tuple[int, bytes]:
        expired = self.expired(received.headers["authorization"])
        return (403, EXPIRED) if expired else (200, b"")

    @property
    def tokens(self) -> list[str]:
        return [received.headers["authorization"] for received in self.server.received]

    @asynccontextmanager
    async def opened(self, **values: Any) -> AsyncIterator[Provider]:
        http = HttpClient(trust=[self.pem])
        async with self.server:
            endpoint = f"https://localhost:{self.server.port}"
            _, mine = account("apns", endpoint, 10.0, **{**APNS.values, **values})
            yield provider_of(mine, Ports(http, http, no_store, no_store, lambda: self.now))
        await http.close()


@pytest.fixture
def apple(tmp_path: Path) -> Apple:
    return Apple(tmp_path)


@pytest.mark.anyio
async def test_what_apple_gets(apple: Apple) -> None:
    async with apple.opened() as provider:
        [outcome] = await provider.send([push(APNS_DEVICE)])
    assert outcome == Accepted(str(delivery(0)), detail="HTTP 200")
    [received] = apple.server.received
    assert (received.method, received.target) == ("POST", f"/3/device/{APNS_DEVICE}")
    said = {name: text for name, text in received.headers.items() if name.startswith("apns-")}
    assert said == {
        "apns-id": str(delivery(0)),
        "apns-topic": "com.example.shop",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": str(int(NOW.timestamp()) + 28 * 86_400),
    }
    assert json.loads(received.body) == {
        "aps": {"alert": {"title": "Hello", "body": f"There {MARK}"}, "sound": "default"},
        "notification_id": str(NOTIFICATION),
        "delivery_id": str(delivery(0)),
        "url": "https://example.com/orders/7",
    }


@pytest.mark.anyio
async def test_it_is_kept_no_longer_than_it_is_of_use(apple: Apple) -> None:
    async with apple.opened(priority="normal", ttl=60) as provider:
        await provider.send([push(APNS_DEVICE, expires_at=NOW + timedelta(seconds=30))])
        await provider.send([push(APNS_DEVICE)])
        await provider.send([push(APNS_DEVICE, expires_at=NOW)])
    kept = [received.headers["apns-expiration"] for received in apple.server.received]
    now = int(NOW.timestamp())
    assert kept == [str(now + 30), str(now + 60), "0"]
    assert {received.headers["apns-priority"] for received in apple.server.received} == {"5"}


@pytest.mark.anyio
async def test_many_at_once_go_over_one_connection(apple: Apple) -> None:
    async with apple.opened() as provider:
        await provider.send([push(APNS_DEVICE)])
        apple.server.expected = 31  # answered together, so they are all under way
        answers = await asyncio.gather(
            *(provider.send([push(APNS_DEVICE, number)]) for number in range(1, 31))
        )
    assert all(isinstance(one, Accepted) for [one] in answers)
    assert {one.headers["apns-id"] for one in apple.server.received} == {
        str(delivery(number)) for number in range(31)
    }
    assert apple.server.connections == 2  # the first found out what the server speaks
    assert len(set(apple.tokens)) == 1


@pytest.mark.anyio
async def test_an_authority_of_ones_own_is_trusted(apple: Apple, tmp_path: Path) -> None:
    """By the account that names it, and by no other."""
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(HostAuthority(tmp_path, "Another").pem + apple.pem)
    http = HttpClient()
    ports = Ports(http, http, no_store, no_store, trusting=http.trusting)
    async with apple.server:
        endpoint = f"https://localhost:{apple.server.port}"
        _, mine = account("apns", endpoint, 10.0, **{**APNS.values, "ca_file": str(authorities)})
        _, other = account("apns", endpoint, 10.0, **APNS.values)
        provider = provider_of(mine, ports)
        [outcome] = await provider.send([push(APNS_DEVICE)])
        [untrusted] = await provider_of(other, ports).send([push(APNS_DEVICE)])
        await http.close()
        [closed] = await provider.send([push(APNS_DEVICE)])
    assert outcome == Accepted(str(delivery(0)), detail="HTTP 200")
    assert untrusted == Transient(Reason.TLS_FAILED)
    assert isinstance(closed, Unknown)
    assert len(apple.server.received) == 1


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file"), ("nothing", "it holds no certificates in PEM")]
)
def test_authorities_that_cannot_be_read(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "authorities.pem"
    if text is not None:
        file.write_text(text)
    http = HttpClient()
    _, mine = account("apns", "https://localhost", 10.0, **{**APNS.values, "ca_file": str(file)})
    with pytest.raises(SettingsError, match=f"accounts.mine.ca_file: .* cannot be used: {said}"):
        provider_of(mine, Ports(http, http, no_store, no_store, trusting=http.trusting))


@pytest.mark.anyio
async def test_a_provider_token_is_made_anew_in_time(apple: Apple) -> None:
    async with apple.opened() as provider:
        for seconds in (0.0, USED - 1, USED):
            apple.now = NOW.timestamp() + seconds
            await provider.send([push(APNS_DEVICE)])
    first, second, third = apple.tokens
    assert first == second != third
    kind, _, token = third.partition(" ")
    assert kind == "bearer"
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "ABC123DEFG", "typ": "JWT"}
    key = APNS_KEY.public_key()
    claims = jwt.decode(token, key, algorithms=["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "DEF123GHIJ", "iat": int(NOW.timestamp() + USED)}


@pytest.mark.anyio
async def test_an_expired_token_is_made_anew_once(apple: Apple) -> None:
    async with apple.opened() as provider:
        await provider.send([push(APNS_DEVICE)])
        [old] = apple.tokens
        apple.expired = lambda token: token == old
        apple.now += SHORTEST
        [outcome] = await provider.send([push(APNS_DEVICE)])
        assert isinstance(outcome, Accepted)
        assert len(apple.tokens) == 3
        apple.expired = lambda _: True
        apple.now += SHORTEST
        [outcome] = await provider.send([push(APNS_DEVICE)])
        assert len(apple.tokens) == 5
    assert outcome == Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 403 ExpiredProviderToken")


@pytest.mark.anyio
async def test_no_token_is_made_anew_sooner_than_apple_allows(apple: Apple) -> None:
    apple.expired = lambda _: True
    async with apple.opened() as provider:
        for _ in range(2):
            [outcome] = await provider.send([push(APNS_DEVICE)])
    assert isinstance(outcome, Transient)
    assert len(apple.tokens) == 2
    assert len(set(apple.tokens)) == 1


def told(reply: Reply, message: Message | None = None) -> tuple[Outcome, Sequence[Received]]:
    [outcome], received = exchange("apns", APNS.values, [message or push(APNS_DEVICE)], reply)
    return outcome, received


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason", "suppress"),
    [
        (400, "BadDeviceToken", Permanent, Reason.ADDRESS_INVALID, False),
        (400, "DeviceTokenNotForTopic", Permanent, Reason.ADDRESS_INVALID, False),
        (410, "Unregistered", Permanent, Reason.ENDPOINT_GONE, True),
        (410, "ExpiredToken", Permanent, Reason.ENDPOINT_GONE, True),
        (413, "PayloadTooLarge", Permanent, Reason.MESSAGE_TOO_LARGE, False),
        (400, "PayloadEmpty", Permanent, Reason.CONTENT_REJECTED, False),
        (400, "BadCollapseId", Permanent, Reason.PROVIDER_REJECTED, False),
        (400, "TopicDisallowed", Transient, Reason.ACCOUNT_REFUSED, False),
        (400, "IdleTimeout", Transient, Reason.PROVIDER_UNAVAILABLE, False),
        (403, "InvalidProviderToken", Transient, Reason.CREDENTIALS_REFUSED, False),
        (403, "BadEnvironmentKeyInToken", Transient, Reason.CREDENTIALS_REFUSED, False),
        (404, "BadPath", Transient, Reason.ACCOUNT_REFUSED, False),
        (429, "TooManyRequests", Transient, Reason.PROVIDER_THROTTLED, False),
        (429, "TooManyProviderTokenUpdates", Transient, Reason.PROVIDER_THROTTLED, False),
        (500, "InternalServerError", Transient, Reason.PROVIDER_UNAVAILABLE, False),
        (503, "Shutdown", Transient, Reason.PROVIDER_UNAVAILABLE, False),
    ],
)
def test_documented_reasons(
    status: int, code: str, kind: type, reason: Reason, suppress: bool
) -> None:
    outcome, _ = told(apns_refusal(status, code))
    assert isinstance(outcome, kind)
    assert outcome.reason is reason
    assert getattr(outcome, "suppress", False) is suppress


@pytest.mark.parametrize("address", ["fGh7:token", "../" * 22, "ab" * 31, '{"endpoint": ""}'])
def test_what_is_no_token_is_not_tried(address: str) -> None:
    outcome, received = told(APNS_TAKEN, push(address))
    assert outcome == Permanent(Reason.ADDRESS_INVALID, detail="not an address of this service")
    assert received == []


def test_what_is_too_long_is_not_cut() -> None:
    message = push(APNS_DEVICE, content=PushContent("x", "y" * 4000))
    outcome, received = told(APNS_TAKEN, message)
    assert outcome == Permanent(Reason.MESSAGE_TOO_LARGE, detail="more than 4096 bytes")
    assert received == []


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"signing_key": "secret"}, "signing_key"),
        ({"key_id": "secret"}, "key_id"),
        ({"team_id": "0123456789\n0"}, "team_id"),
        ({"topic": "com.example\r\nx"}, "topic"),
    ],
)
def test_fields_that_cannot_be_used(values: dict[str, Any], name: str) -> None:
    _, mine = account("apns", "https://api.push.apple.com", 10.0, **{**APNS.values, **values})
    http = HttpClient()
    with pytest.raises(SettingsError, match=f"accounts.mine.{name}") as raised:
        provider_of(mine, Ports(http, http, no_store, no_store))
    assert "secret" not in str(raised.value)


def test_with_the_sandbox() -> None:
    async def run(values: dict[str, Any]) -> Outcome:
        http = HttpClient()
        ports = Ports(http, http, no_store, no_store)
        _, mine = account("apns", **values)
        _, other = account("apns", **{**values, "topic": "com.example.other"})
        try:
            assert "takes the credentials" in await provider_of(mine, ports).check()
            with pytest.raises(ProviderCheckError):
                await provider_of(other, ports).check()
            [outcome] = await provider_of(mine, ports).send([push(APNS_DEVICE)])
            return outcome
        finally:
            await http.close()

    with sandbox() as box:
        values = box.account("apns")
        del values["provider"]
        taken = asyncio.run(run(values))
        message = box.message(vendor="apns")
    assert taken == Accepted(message["message_id"], detail="HTTP 200")
    assert (message["subject"], message["text"]) == ("Hello", f"There {MARK}")
    assert message["fields"]["apns-push-type"] == "alert"
