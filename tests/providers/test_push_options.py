"""What a template says of a push message, and what a collapse key and a priority are, to each of the three services."""

import json
import re
from asyncio import to_thread
from collections.abc import Callable
from typing import Any

import http_ece
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.test_fcm import told as told_by_firebase
from tests.providers.test_webpush import Keeping, made
from tests.providers.vendor_answers import (
    APNS,
    APNS_DEVICE,
    APNS_TAKEN,
    BROWSER_AUTH,
    BROWSER_KEY,
    FCM_TAKEN,
    FCM_TOKEN,
    subscription,
)
from tests.providers.vendors import delivery, exchange, push
from tidings.domain.messages import Message, PushContent
from tidings.domain.outcomes import Permanent
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.providers.apple import COLLAPSE_ID, LONGEST_COLLAPSE_ID
from tidings.providers.notices import Notice, collapse_id
from tidings.providers.urgency import topic

OPTIONS: dict[str, Any] = {
    "image": "https://example.com/a.png",
    "data": {"order": "7"},
    "ttl": 600,
    "badge": 3,
    "sound": "ding.caf",
    "android": {"channel_id": "orders", "click_action": "OPEN", "color": "#ff0000", "icon": "box"},
    "ios": {
        "category": "ORDER",
        "interruption_level": "time-sensitive",
        "subtitle": "Soon",
        "thread_id": "order-7",
    },
    "web": {
        "icon": "https://example.com/i.png",
        "actions": [{"action": "open", "title": "Open"}],
        "require_interaction": True,
    },
}
APPLE = {
    "badge": 3,
    "sound": "ding.caf",
    "category": "ORDER",
    "interruption-level": "time-sensitive",
    "thread-id": "order-7",
    "mutable-content": 1,
    "alert": {"title": "Hello", "body": "there", "subtitle": "Soon"},
}
WEB = {
    "icon": "https://example.com/i.png",
    "actions": [{"action": "open", "title": "Open"}],
    "requireInteraction": True,
}
IDS = {"notification_id", "delivery_id"}


def written(address: str, options: dict[str, Any] | None = None, **changes: Any) -> Message:
    content = PushContent("Hello", "there", options=OPTIONS if options is None else options)
    return push(address, content=content, **changes)


def apple(message: Message) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body."""
    _, received = exchange("apns", APNS.values, [message], APNS_TAKEN)
    return received[0].headers, json.loads(received[0].body)


@pytest.mark.anyio
async def test_firebase_gets_each_platforms_own() -> None:
    _, message = await told_by_firebase(FCM_TAKEN, written(FCM_TOKEN, collapse_key="order-7"))
    assert message["notification"] == {
        "title": "Hello",
        "body": "there",
        "image": "https://example.com/a.png",
    }
    assert message["data"] == {"order": "7"} | {name: message["data"][name] for name in IDS}
    assert message["android"] == {
        "priority": "HIGH",
        "ttl": "600s",
        "collapse_key": "order-7",
        "notification": {
            **OPTIONS["android"],
            "sound": "ding.caf",
            "notification_count": 3,
            "tag": "order-7",
        },
    }
    assert message["apns"]["headers"]["apns-collapse-id"] == "order-7"
    assert message["apns"]["payload"] == {"aps": APPLE}
    assert message["apns"]["fcm_options"] == {"image": "https://example.com/a.png"}
    assert message["webpush"] == {
        "headers": {"TTL": "600", "Urgency": "high", "Topic": "order-7"},
        "notification": WEB,
    }


def test_apple_gets_what_is_its_own() -> None:
    headers, body = apple(written(APNS_DEVICE, collapse_key="order-7"))
    assert headers["apns-collapse-id"] == "order-7"
    assert body["aps"] == APPLE
    assert (body["order"], body["image"]) == ("7", "https://example.com/a.png")


@pytest.mark.anyio
async def test_browsers_get_what_is_their_own() -> None:
    kept = await browser(collapse_key="order-7")
    assert {name: kept[name] for name in ("ttl", "urgency", "topic")} == {
        "ttl": "600",
        "urgency": "high",
        "topic": "order-7",
    }
    assert kept["seen"] == {
        "title": "Hello",
        "body": "there",
        "order": "7",
        "image": "https://example.com/a.png",
        "tag": "order-7",
        "app_badge": 3,
        **WEB,
        **{name: kept["seen"][name] for name in IDS},
    }


async def browser(options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    http = Keeping()
    message = written(subscription("https://push.example.net/7"), options, **changes)
    await made(http).send([message])
    [request] = http.requests
    text = http_ece.decrypt(request.body, private_key=BROWSER_KEY, auth_secret=BROWSER_AUTH)
    return {**request.headers, "seen": json.loads(text)}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("priority", "said", "high", "urgency"),
    [
        (Priority.CRITICAL, None, True, "high"),
        (Priority.HIGH, None, True, "high"),
        (Priority.MEDIUM, None, True, "high"),
        (Priority.LOW, None, False, "low"),
        (Priority.LOW, "high", True, "high"),
        (Priority.CRITICAL, "normal", False, "normal"),
    ],
)
async def test_how_urgent_it_is(
    priority: Priority, said: str | None, high: bool, urgency: str
) -> None:
    options = {} if said is None else {"priority": said}
    _, message = await told_by_firebase(FCM_TAKEN, written(FCM_TOKEN, options, priority=priority))
    assert message["android"]["priority"] == ("HIGH" if high else "NORMAL")
    assert message["webpush"]["headers"]["Urgency"] == urgency
    headers, _ = await to_thread(apple, written(APNS_DEVICE, options, priority=priority))
    assert headers["apns-priority"] == message["apns"]["headers"]["apns-priority"]
    assert headers["apns-priority"] == ("10" if high else "5")
    assert (await browser(options, priority=priority))["urgency"] == urgency


@pytest.mark.anyio
async def test_no_sound_is_no_sound() -> None:
    _, message = await told_by_firebase(FCM_TAKEN, written(FCM_TOKEN, {"sound": "none"}))
    assert "notification" not in message["android"]
    assert "payload" not in message["apns"]
    _, body = await to_thread(apple, written(APNS_DEVICE, {"sound": "none"}))
    assert "sound" not in body["aps"]
    assert (await browser({"sound": "none"}))["seen"]["silent"] is True


@pytest.mark.anyio
@pytest.mark.parametrize(
    "options",
    [
        {"image": "http://example.com/a.png"},
        {"web": {"icon": "javascript:alert(1)"}},
        {"data": {"order": "\ud800"}},
    ],
)
async def test_what_no_service_takes_is_not_tried(options: dict[str, Any]) -> None:
    outcome, sent = await told_by_firebase(FCM_TAKEN, written(FCM_TOKEN, options))
    assert isinstance(outcome, Permanent)
    assert (outcome.reason, sent) == (Reason.CONTENT_REJECTED, None)


@pytest.mark.anyio
async def test_options_count_in_the_size() -> None:
    options = {"data": {"a": "x" * 2_000, "b": "x" * 2_000}}
    outcome, _ = await told_by_firebase(FCM_TAKEN, written(FCM_TOKEN, options))
    assert isinstance(outcome, Permanent)
    assert outcome.reason is Reason.MESSAGE_TOO_LARGE


@pytest.mark.anyio
async def test_a_picture_that_turned_out_empty_is_left_out() -> None:
    _, message = await told_by_firebase(FCM_TAKEN, written(FCM_TOKEN, {"image": " "}))
    assert message["notification"] == {"title": "Hello", "body": "there"}


def noticed(key: str) -> Notice:
    return Notice(str(delivery(0)), "n", FCM_TOKEN, "t", "b", None, None, collapse_key=key)


@given(st.text(min_size=1), st.text(min_size=1))
def test_collapse_ids_fit_and_differ(one: str, other: str) -> None:
    forms: list[tuple[Callable[[Notice], str | None], str]] = [
        (lambda notice: collapse_id(notice, LONGEST_COLLAPSE_ID, COLLAPSE_ID), r"[!-~]{1,64}"),
        (topic, r"[A-Za-z0-9_-]{1,32}"),
    ]
    for form, allowed in forms:
        first, second = form(noticed(one)), form(noticed(other))
        assert first is not None
        assert re.fullmatch(allowed, first)
        assert (first == second) is (one == other)
