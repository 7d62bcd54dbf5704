"""Send a notification and see what becomes of it: TIDINGS_API_KEY=… python examples/send.py EMAIL

With the standard library alone, and with what a caller should do: an idempotency key, so that the request
can be repeated when no answer came, and patience where the API asks for it.
"""

import json
import os
import sys
import time
import uuid
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL = os.environ.get("TIDINGS_URL", "http://127.0.0.1:8000")
KEY = os.environ["TIDINGS_API_KEY"]


def call(method: str, path: str, document: Any = None, *, idempotency_key: str = "") -> Any:
    """One call of the API. Raises HTTPError, whose body says what is wrong (RFC 9457)."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    if idempotency_key:
        headers["idempotency-key"] = idempotency_key
    body = None if document is None else json.dumps(document).encode()
    with urlopen(Request(URL + path, body, headers, method=method), timeout=30) as answer:
        return json.load(answer)


def send(notification: Any, tries: int = 5) -> str:
    """The notification's id, once it is stored. The same key makes it one notification, however often
    the request is repeated."""
    key = str(uuid.uuid4())
    for attempt in range(1, tries + 1):
        try:
            answer = call("POST", "/notifications/send", notification, idempotency_key=key)
            return str(answer["notification_id"])
        except HTTPError as error:
            if error.code != 503 or attempt == tries:
                raise SystemExit(f"refused: {error.read().decode()}") from None
            wait = float(error.headers.get("retry-after", 1))
        except OSError as error:  # no answer; whether it was accepted is not known
            if attempt == tries:
                raise SystemExit(f"cannot reach {URL}: {error}") from None
            wait = 0.2 * 2**attempt
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def follow(notification_id: str, seconds: float = 30) -> Any:
    """The status, once every delivery has ended, or after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        status = call("GET", f"/notifications/{notification_id}/status")
        pending = [one for one in status["deliveries"] if one["status"] == "pending"]
        if not pending or time.monotonic() > end:
            return status
        time.sleep(0.1)


def main(email: str) -> None:
    notification_id = send(
        {
            "template_id": "welcome_email",
            "recipient": {"email": email},
            "data": {
                "user_name": "John Doe",
                "app_name": "My Awesome App",
                "login_link": "https://myapp.com/login",
            },
            "correlation_id": "order-12345",
        }
    )
    print(f"accepted {notification_id}")
    for delivery in follow(notification_id)["deliveries"]:
        print(f"{delivery['channel']}: {delivery['status']} ({delivery['reason']})")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "john.doe@example.com")
