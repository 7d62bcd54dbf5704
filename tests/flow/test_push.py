"""Push from the HTTP call to the services: each device by the account of its own service; dead ones are retired."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.providers.http_server import HttpStandIn, Received
from tests.providers.vendor_answers import (
    APNS,
    APNS_DEVICE,
    APNS_TAKEN,
    FCM,
    FCM_TAKEN,
    FCM_TOKEN,
    WEBPUSH,
    WEBPUSH_TAKEN,
    fcm_access,
    fcm_refusal,
    subscription,
)
from tests.providers.vendors import SIGN_IN, Reply, answering
from tests.support.system import System

pytestmark = pytest.mark.anyio


def google(reply: Reply) -> Any:
    def said(received: Received) -> Reply:
        return fcm_access() if received.target == SIGN_IN else reply

    return answering(said)


async def test_each_device_is_reached_through_its_own_service(dsn: str, tmp_path: Path) -> None:
    async with (
        HttpStandIn(google(FCM_TAKEN)) as firebase,
        HttpStandIn(answering(lambda _: APNS_TAKEN)) as apple,
        HttpStandIn(answering(lambda _: WEBPUSH_TAKEN)) as browsers,
    ):
        accounts = {
            "f": {
                "provider": "fcm",
                **FCM.values_at(firebase.url("")),
                "endpoint": firebase.url(""),
            },
            "a": {"provider": "apns", **APNS.values, "endpoint": apple.url("")},
            "w": {"provider": "webpush", **WEBPUSH.values},
        }
        outbound = {"allow": ["127.0.0.1"]}
        async with System.run(dsn, tmp_path, accounts=accounts, outbound=outbound) as system:
            await system.template({"push": {"title": "Hello {{ name }}", "body": "there"}})
            tokens = [FCM_TOKEN, APNS_DEVICE, subscription(browsers.url("/push/7"))]
            status = await system.settled(
                await system.send({"push_tokens": tokens}, {"name": "Ada"})
            )
            ended = [(one["status"], one["account"]) for one in status["deliveries"]]
    assert sorted(ended) == [("sent", "a"), ("sent", "f"), ("sent", "w")]
    assert [received.target for received in apple.received] == [f"/3/device/{APNS_DEVICE}"]
    assert [received.target for received in browsers.received] == ["/push/7"]
    assert [b"Hello Ada" in one.body for one in firebase.received] == [False, True]


async def test_a_device_whose_app_was_removed_is_retired(dsn: str, tmp_path: Path) -> None:
    gone = fcm_refusal(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
    async with HttpStandIn(google(gone)) as firebase:
        url = firebase.url("")
        accounts = {"f": {"provider": "fcm", **FCM.values_at(url), "endpoint": url}}
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            await system.template({"push": {"title": "Hello", "body": "there"}})
            await system.call("PUT", "/users/ada", {})
            device = {"platform": "android", "token": FCM_TOKEN}
            await system.call("POST", "/users/ada/devices", device)
            status = await system.settled(await system.send({"user_id": "ada"}))
            [delivery] = status["deliveries"]
            found = (await system.call("GET", "/users/ada/devices")).body["devices"]
    assert (delivery["status"], delivery["reason"]) == ("failed", "endpoint_gone")
    assert [(one["state"], one["reason"]) for one in found] == [("retired", "endpoint_gone")]


async def test_options_priority_and_collapse_key_reach_the_service(
    dsn: str, tmp_path: Path
) -> None:
    async with HttpStandIn(google(FCM_TAKEN)) as firebase:
        url = firebase.url("")
        accounts = {"f": {"provider": "fcm", **FCM.values_at(url), "endpoint": url}}
        async with System.run(dsn, tmp_path, accounts=accounts) as system:
            content = {"title": "Hello", "body": "there", "ttl": 60, "data": {"who": "{{ name }}"}}
            await system.template({"push": content})
            more = {"priority": "low", "collapse_key": "order 7"}
            sent = await system.send({"push_tokens": [FCM_TOKEN]}, {"name": "Ada"}, **more)
            await system.settled(sent)
            wrong = {"name": "Wrong", "content": {"push": {**content, "ttl": -1}}}
            refused = await system.call("POST", "/templates", {"id": "wrong", **wrong})
    [message] = [
        json.loads(one.body)["message"] for one in firebase.received if b'"token"' in one.body
    ]
    assert message["data"]["who"] == "Ada"
    assert (message["android"]["priority"], message["android"]["ttl"]) == ("NORMAL", "60s")
    collapsed = message["android"]["collapse_key"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", collapsed)  # a space is not for headers
    assert message["apns"]["headers"]["apns-collapse-id"] == collapsed
    assert refused.status == 400
    assert [one["path"] for one in refused.body["errors"]] == ["content.push.ttl"]
