"""A message as Firebase takes it: what is for all, and what is for Android, iOS and the web alone.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from collections.abc import Mapping
from typing import Any

from tidings.domain.provider import Account
from tidings.providers.apple import COLLAPSE_ID, LONGEST_COLLAPSE_ID, aps
from tidings.providers.notices import (
    Notice,
    browser_options,
    collapse_id,
    is_high,
    seconds_to_keep,
    without_empty,
)
from tidings.providers.urgency import topic, urgency


def body(account: Account, notice: Notice, now: float) -> Mapping[str, Any]:
    """now: seconds since the epoch."""
    ttl = seconds_to_keep(account, notice, now)
    high = is_high(account, notice)
    collapse = collapse_id(notice, LONGEST_COLLAPSE_ID, COLLAPSE_ID)
    return {
        "token": notice.address,
        "notification": shown(notice),
        "data": notice.data,
        "android": without_empty(
            {
                "priority": "HIGH" if high else "NORMAL",
                "ttl": f"{ttl}s",
                "collapse_key": collapse,
                "notification": _android(notice, collapse),
            }
        ),
        "apns": _apns(notice, str(int(now) + ttl if ttl else 0), collapse, high=high),
        "webpush": _webpush(account, notice, ttl),
    }


def shown(notice: Notice) -> Mapping[str, str]:
    return without_empty({"title": notice.title, "body": notice.body, "image": notice.image}) | {
        "title": notice.title,
        "body": notice.body,
    }


def _android(notice: Notice, collapse: str | None) -> Mapping[str, Any]:
    """tag: what is shown under it gives way to what comes after, as it does with Apple."""
    sound = notice.options.get("sound")
    return without_empty(
        {
            **notice.of_platform("android"),
            "sound": None if sound == "none" else sound,
            "notification_count": notice.options.get("badge"),
            "tag": collapse,
        }
    )


def _apns(notice: Notice, expires: str, collapse: str | None, *, high: bool) -> Mapping[str, Any]:
    headers = {
        "apns-priority": "10" if high else "5",
        "apns-expiration": expires,
        "apns-collapse-id": collapse,
    }
    found: dict[str, Any] = {"headers": without_empty(headers)}
    if payload := aps(notice):  # the alert is the notification's
        found["payload"] = {"aps": payload}
    if notice.image:
        found["fcm_options"] = {"image": notice.image}
    return found


def _webpush(account: Account, notice: Notice, ttl: int) -> Mapping[str, Any]:
    headers = {"TTL": str(ttl), "Urgency": urgency(account, notice), "Topic": topic(notice)}
    found: dict[str, Any] = {"headers": without_empty(headers)}
    if web := browser_options(notice):
        found["notification"] = web
    if notice.url is not None and notice.url.startswith("https://"):  # Firebase takes no other
        found["fcm_options"] = {"link": notice.url}
    return found
