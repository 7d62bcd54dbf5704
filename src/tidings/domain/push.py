"""Push addresses: which service one belongs to."""

import re

FCM, APNS, WEBPUSH = "fcm", "apns", "webpush"

_APNS = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")


def push_service_of(address: str) -> str:
    """webpush for a subscription, which is JSON; apns for hexadecimal digits, of 32 bytes or more; else fcm, whose
    tokens have other letters, too."""
    if address.startswith("{"):
        return WEBPUSH
    return APNS if _APNS.fullmatch(address) else FCM
