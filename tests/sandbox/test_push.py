"""Push: tokens signed as the vendors want them, what they refuse, and a browser that reads what was sealed for it."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import kalyke.exceptions as kalyke_errors
import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.service_account import Credentials
from httpx2 import AsyncClient
from kalyke import ApnsClient, ApnsConfig, Payload, PayloadAlert
from py_vapid import Vapid
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pywebpush import WebPushException, webpush

from tests.support.sandbox import Answer, Box, fetch
from tidings.sandbox.faults import Faults
from tidings.sandbox.vendors import apns, fcm

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


# --- Firebase, with Google's own way to sign in ---


def firebase(box: Box, **changes: str) -> AuthorizedSession:
    given = fetch(f"{box.url}/fcm/service-account.json").document
    account = {**given, **changes}
    credentials = Credentials.from_service_account_info(account, scopes=[SCOPE])
    session = AuthorizedSession(credentials)
    session.trust_env = False
    return session


def fcm_send(box: Box, token: str, **more: Any) -> Any:
    url = f"{box.url}/fcm/v1/projects/{fcm.PROJECT}/messages:send"
    notification = {"title": "Hello", "body": "there"}
    message = {"token": token, "notification": notification, "data": {"order": "7"}, **more}
    return firebase(box).post(url, json={"message": message})


def test_fcm(box: Box) -> None:
    answer = fcm_send(box, "fGh7-registration-token")
    message = box.message(vendor="fcm")
    assert answer.json() == {"name": message["message_id"]}
    assert (message["subject"], message["text"]) == ("Hello", "there")
    assert message["reference"] == {"order": "7"}


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("unregistered-7", 404, "UNREGISTERED"),
        ("invalid-7", 400, "INVALID_ARGUMENT"),
        ("throttle-7", 429, "QUOTA_EXCEEDED"),
        ("error-7", 503, "UNAVAILABLE"),
    ],
)
def test_fcm_refuses(box: Box, token: str, status: int, code: str) -> None:
    url = f"{box.url}/fcm/v1/projects/{fcm.PROJECT}/messages:send"
    answer = firebase(box).post(url, json={"message": {"token": token}})
    assert answer.status_code == status
    assert answer.json()["error"]["details"][0]["errorCode"] == code
    assert box.messages() == []


def test_fcm_takes_no_other_key(box: Box) -> None:
    with pytest.raises(RefreshError, match="invalid_grant"):
        firebase(box, client_email="other@example.com").post(f"{box.url}/fcm/v1")
    old = f"ya29.{int(time.time()) - 1}"
    url = f"{box.url}/fcm/v1/projects/{fcm.PROJECT}/messages:send"
    for token in ("", "ya29.1.2", old):
        headers = {"authorization": f"Bearer {token}"}
        assert fetch(url, {"message": {"token": "x"}}, headers=headers).status == 401


def test_fcm_refuses_data_that_is_no_text(box: Box) -> None:
    assert fcm_send(box, "token", data={"order": 7}).status_code == 400
    assert fcm_send(box, "", topic="").status_code == 400
    assert fcm_send(box, "token", topic="news").status_code == 400


# --- Web Push, with the library that Python's applications use ---


@pytest.fixture(scope="module")
def vapid() -> Vapid:
    key = Vapid()
    key.generate_keys()
    return key


def subscription(box: Box, name: str) -> Any:
    return fetch(f"{box.url}/webpush/subscriptions/{name}").document


def push(box: Box, name: str, vapid: Vapid, **options: Any) -> Any:
    options = {"ttl": 60, "vapid_claims": {"sub": "mailto:shop@example.com"}, **options}
    data = '{"title": "Grüße", "body": "there"}'
    return webpush(subscription(box, name), data, vapid_private_key=vapid, **options)


def test_web_push_is_decrypted(box: Box, vapid: Vapid) -> None:
    answer = push(box, "phone-7", vapid, headers={"Urgency": "high", "Topic": "orders"})
    assert answer.status_code == 201
    message = box.message(vendor="webpush")
    assert (message["to"], message["subject"], message["text"]) == (["phone-7"], "Grüße", "there")
    assert message["fields"] == {"ttl": "60", "urgency": "high", "topic": "orders"}
    assert answer.headers["location"].endswith(message["message_id"])


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("bounce-7", {}, 410),
        ("invalid-7", {}, 404),
        ("phone", {"headers": {"Urgency": "at once"}}, 400),
        ("phone", {"headers": {"Topic": "x" * 33}}, 400),
        ("phone", {"vapid_claims": {"sub": "mailto:a@b.example", "aud": "https://other"}}, 403),
        ("throttle-7", {}, 429),
    ],
)
def test_web_push_refuses(box: Box, vapid: Vapid, name: str, options: Any, status: int) -> None:
    with pytest.raises(WebPushException) as refused:
        push(box, name, vapid, **options)
    assert refused.value.response is not None
    assert refused.value.response.status_code == status
    assert box.messages() == []


def test_web_push_wants_vapid(box: Box) -> None:
    endpoint = subscription(box, "phone")["endpoint"]
    for given in ("", "vapid t=1,k=2", "Bearer x"):
        assert fetch(endpoint, b"", headers={"ttl": "1", "authorization": given}).status == 401


# --- Apple ---


async def apns_over_http2(box: Box, devices: list[str]) -> list[int]:
    """The answers to as many requests at once, over one connection."""
    port = box.sandbox.place.ports["apns"]
    builder = ClientBuilder().no_proxy().http2_prior_knowledge().timeout(timedelta(seconds=10))
    payload = {"aps": {"alert": {"title": "Hello", "body": "there"}}}
    headers = {"authorization": f"bearer {apple_token()}", "apns-topic": apns.TOPIC}

    async with builder.build() as client:

        async def send(device: str) -> int:
            url = f"http://127.0.0.1:{port}/3/device/{device}"
            request = client.post(url).body_json(payload).headers(headers)
            answer = await request.build().send()
            body = await answer.bytes()
            assert bytes(body) == b"" or b"reason" in bytes(body)
            return answer.status

        return await asyncio.gather(*map(send, devices))


def test_apns_over_http2(box: Box) -> None:
    """Many at once, in any order; each has its own answer."""
    devices = [f"{word}{number}" for number in range(100) for word in ("a", "bounce", "invalid")]
    statuses = asyncio.run(apns_over_http2(box, devices))
    assert statuses == [200, 410, 400] * 100
    taken = sorted(to for one in box.messages(vendor="apns") for to in one["to"])
    assert taken == sorted(device for device in devices if device.startswith("a"))


def test_apns_lets_a_connection_go(box: Box) -> None:
    box.sandbox.desk.faults["apns"] = Faults(cut=1)
    with pytest.raises(PyreqwestError):
        asyncio.run(apns_over_http2(box, ["a1"]))
    box.sandbox.desk.faults.clear()
    with pytest.raises(PyreqwestError):
        asyncio.run(apns_over_http1(box))
    assert asyncio.run(apns_over_http2(box, ["a1"])) == [200]


@pytest.fixture
def kalyke(box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ApnsClient:
    """The client for Apple that is kept and speaks HTTP/2: aioapns had its last release in 2025, PyAPNs2 and pyapns-client
    in 2022 and before. It knows Apple's hosts alone, and TLS."""
    key = tmp_path / "AuthKey.p8"
    key.write_text(apns.signing_key())
    port = box.sandbox.place.ports["apns"]
    monkeypatch.setattr(ApnsClient, "_base_url", f"http://127.0.0.1:{port}")
    without_tls = partial(AsyncClient, http1=False)  # HTTP/2 from the first byte on
    monkeypatch.setattr("kalyke.clients.apns.AsyncClient", without_tls)
    return ApnsClient(
        use_sandbox=True, team_id=apns.TEAM_ID, auth_key_id=apns.KEY_ID, auth_key_filepath=key
    )


def kalyke_send(client: ApnsClient, device: str, topic: str = apns.TOPIC) -> str:
    payload = Payload(alert=PayloadAlert(title="Hello", body="there"), sound="default")
    config = ApnsConfig(topic=topic, collapse_id="order-7", expiration=0)
    return asyncio.run(client.send_message(device, payload, config))


def test_apns_with_a_library(box: Box, kalyke: ApnsClient) -> None:
    told = kalyke_send(kalyke, "a1b2c3")
    message = box.message(vendor="apns")
    assert (told, message["to"]) == (message["message_id"], ["a1b2c3"])
    assert (message["subject"], message["text"]) == ("Hello", "there")
    assert message["fields"] == {
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": "0",
        "apns-collapse-id": "order-7",
    }


def test_a_library_understands_what_apns_refuses(box: Box, kalyke: ApnsClient) -> None:
    other = replace(kalyke, team_id="OTHERTEAM1")
    with pytest.raises(kalyke_errors.Unregistered):
        kalyke_send(kalyke, "bounce1")
    with pytest.raises(kalyke_errors.BadDeviceToken):
        kalyke_send(kalyke, "invalid1")
    with pytest.raises(kalyke_errors.TopicDisallowed):
        kalyke_send(kalyke, "a1", topic="com.example.other")
    with pytest.raises(kalyke_errors.InvalidProviderToken):
        kalyke_send(other, "a1")
    assert box.messages() == []


async def apns_over_http1(box: Box) -> None:
    async with ClientBuilder().no_proxy().build() as client:
        await client.get(f"http://127.0.0.1:{box.sandbox.place.ports['apns']}/").build().send()


def apple_token(**changes: Any) -> str:
    claims = {"iss": apns.TEAM_ID, "iat": int(time.time()), **changes}
    return jwt.encode(claims, apns.signing_key(), "ES256", {"kid": apns.KEY_ID})


def test_apns_key_is_given_as_a_file(box: Box) -> None:
    given = fetch(f"{box.url}/apns/AuthKey_{apns.KEY_ID}.p8").body.decode()
    assert given == apns.signing_key()


def apns_send(box: Box, device: str, payload: Any = None, **changes: str) -> Answer:
    headers = {
        "authorization": f"bearer {apple_token()}",
        "apns-topic": apns.TOPIC,
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    payload = payload or {"aps": {"alert": {"title": "Hello", "body": "there"}}}
    return fetch(f"{box.url}/apns/3/device/{device}", payload, headers=headers)


def test_apns(box: Box) -> None:
    answer = apns_send(box, "a1b2c3", apns_collapse_id="order-7")
    message = box.message(vendor="apns")
    assert (answer.status, answer.headers["apns-id"]) == (200, message["message_id"])
    assert (message["subject"], message["text"]) == ("Hello", "there")
    assert message["fields"] == {"apns-collapse-id": "order-7"}


@pytest.mark.parametrize(
    ("device", "headers", "status", "reason"),
    [
        ("unregistered1", {}, 410, "Unregistered"),
        ("dead" + "0f" * 30, {}, 410, "Unregistered"),
        ("BAD0" + "0f" * 30, {}, 400, "BadDeviceToken"),
        ("invalid1", {}, 400, "BadDeviceToken"),
        ("suppressed1", {}, 400, "DeviceTokenNotForTopic"),
        ("a1", {"apns_topic": ""}, 400, "MissingTopic"),
        ("a1", {"apns_topic": "com.example.other"}, 400, "TopicDisallowed"),
        ("a1", {"apns_priority": "7"}, 400, "BadPriority"),
        ("a1", {"apns_expiration": "soon"}, 400, "BadExpirationDate"),
        ("a1", {"apns_collapse_id": "x" * 65}, 400, "BadCollapseId"),
        ("a1", {"apns_push_type": "other"}, 400, "InvalidPushType"),
        ("a1", {"authorization": ""}, 403, "MissingProviderToken"),
        ("a1", {"authorization": "bearer x"}, 403, "InvalidProviderToken"),
        ("throttle1", {}, 429, "TooManyRequests"),
    ],
)
def test_apns_refuses(
    box: Box, device: str, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = apns_send(box, device, **headers)
    assert (answer.status, answer.document["reason"]) == (status, reason)
    assert box.messages() == []


def test_apns_refuses_what_is_old_or_anothers(box: Box) -> None:
    old = apple_token(iat=int(time.time()) - 4000)
    other = apple_token(iss="OTHERTEAM1")
    assert apns_send(box, "a1", authorization=f"bearer {old}").document == {
        "reason": "ExpiredProviderToken"
    }
    assert apns_send(box, "a1", authorization=f"bearer {other}").document == {
        "reason": "InvalidProviderToken"
    }
    assert apns_send(box, "a1", {"other": 1}).document == {"reason": "PayloadEmpty"}
    assert apns_send(box, "a1", {"aps": {"alert": "x" * 5000}}).status == 413
