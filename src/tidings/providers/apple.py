"""What Apple's devices get, and by which name one message takes another's place.

https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification
"""

import re
from collections.abc import Mapping
from typing import Any

from tidings.providers.notices import Notice, without_empty

LONGEST_COLLAPSE_ID = 64
COLLAPSE_ID = re.compile(r"[!-~]+")


def aps(notice: Notice) -> Mapping[str, Any]:
    """What its template says beside the alert's title and body; Firebase hands it on as it is."""
    ios, sound = notice.of_platform("ios"), notice.options.get("sound")
    said = {
        "badge": notice.options.get("badge"),
        "sound": None if sound == "none" else sound,
        "category": ios.get("category"),
        "interruption-level": ios.get("interruption_level"),
        "thread-id": ios.get("thread_id"),
        "mutable-content": 1 if ios.get("mutable_content", bool(notice.image)) else None,
    }
    if subtitle := ios.get("subtitle"):
        said["alert"] = {"title": notice.title, "body": notice.body, "subtitle": subtitle}
    return without_empty(said)


def payload(notice: Notice) -> Mapping[str, Any]:
    """All of what a device gets from Apple itself. image: for the app's extension, which shows it."""
    sounds = {} if notice.options.get("sound") == "none" else {"sound": "default"}
    alert = {"title": notice.title, "body": notice.body}
    image = {"image": notice.image} if notice.image else {}
    return {"aps": {"alert": alert, **sounds, **aps(notice)}, **notice.data, **image}
