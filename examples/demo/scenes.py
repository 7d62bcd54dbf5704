"""What the demo sends, and what has to come of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

USER = "user-abc-123"
SCHEDULED = 4.0
"""Seconds from now at which the scheduled notification is due."""

_ZOE = {"email": "zoe.müller@example.com", "user_id": USER}
_ORDER = {
    "number": "A-1001",
    "items": [{"count": 2, "name": "Teekanne 茶壺"}, {"count": 1, "name": "Ćwierć filiżanki"}],
    "tracking": "https://parcels.example.com/A-1001",
}


@dataclass(frozen=True)
class Expected:
    """Of one delivery. detail: a text that its detail holds. attempts: calls to the provider."""

    status: str
    reason: str
    attempts: int = 1
    detail: str = ""


@dataclass(frozen=True)
class Scene:
    """One notification. expected: by channel. subject: of the mail that arrives; None for none.
    event: type of the webhook that arrives. cancelled: by request, as soon as it is accepted."""

    title: str
    request: Mapping[str, Any] = field(repr=False)
    expected: Mapping[str, Expected]
    subject: str | None = None
    event: str | None = None
    cancelled: bool = False


@dataclass
class Journey:
    """A scene's notification under way. status: as the API told it last; empty before."""

    scene: Scene
    notification_id: str
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def deliveries(self) -> Sequence[dict[str, Any]]:
        found: Sequence[dict[str, Any]] = self.status.get("deliveries", ())
        return found

    @property
    def ended(self) -> bool:
        """Nothing more is expected; what was sent may yet be told to have arrived."""
        return bool(self.deliveries) and not any(map(self._waits, self.deliveries))

    def _waits(self, delivery: Mapping[str, Any]) -> bool:
        expected = self.scene.expected.get(delivery["channel"])
        told = expected is not None and expected.status != delivery["status"]
        return delivery["status"] == "pending" or (delivery["status"] == "sent" and told)


_SENT = Expected("sent", "provider_accepted")
_STORED = Expected("delivered", "stored")
_HOOKED = Expected("delivered", "provider_accepted")

CONTRACT: dict[str, Any] = {
    "template_id": "welcome_email",
    "recipient": {
        "email": "john.doe@example.com",
        "phone": "+15551234567",
        "user_id": USER,
    },
    "channel_preferences": ["email", "push"],
    "data": {
        "user_name": "John Doe",
        "app_name": "My Awesome App",
        "login_link": "https://myapp.com/login",
    },
    "priority": "high",
    "correlation_id": "order-12345",
}


def scenes(hook_url: str) -> list[Scene]:
    """hook_url: the receiver; below it, /busy answers 503 the first time and /closed always 404."""
    now = datetime.now(UTC)
    return [
        Scene(
            "email; no push token",
            CONTRACT,
            {"email": _SENT, "push": Expected("skipped", "no_address", attempts=0)},
            subject="Welcome to My Awesome App, John Doe",
        ),
        Scene(
            "email, feed and webhook",
            _note("order_shipped", _ZOE, user_name="Zoë Müller", order=_ORDER),
            {"email": _SENT, "in_app": _STORED, "webhook": _HOOKED},
            subject="Your order A-1001 is on its way",
            event="order.shipped",
        ),
        Scene(
            "receiver busy: tried again",
            _note(
                "order_shipped",
                {"user_id": USER, "webhook_url": f"{hook_url}/busy"},
                user_name="Zoë Müller",
                order={**_ORDER, "number": "A-1002"},
            )
            | {"channel_preferences": ["webhook"]},
            {"webhook": Expected("delivered", "provider_accepted", attempts=2)},
            event="order.shipped",
        ),
        Scene(
            "webhook refused: fallback to email",
            _note(
                "security_alert",
                {"email": "john.doe@example.com", "webhook_url": f"{hook_url}/closed"},
                user_name="John Doe",
                place="Reykjavík",
                device="Firefox on Linux",
            )
            | {"channel_preferences": ["webhook", "email"], "routing": "fallback"}
            | {"priority": "critical"},
            {"webhook": Expected("failed", "provider_rejected", detail="HTTP 404"), "email": _SENT},
            subject="New sign-in from Reykjavík",
        ),
        Scene(
            "a variable is missing",
            {**CONTRACT, "channel_preferences": ["email"], "data": {"user_name": "John Doe"}},
            {
                "email": Expected(
                    "failed", "undefined_variable", attempts=0, detail="'app_name' is undefined"
                )
            },
        ),
        Scene(
            f"scheduled, in {SCHEDULED:g} s",
            _reminder(now + timedelta(seconds=SCHEDULED)),
            {"email": _SENT, "in_app": _STORED},
            subject="Tomorrow at 9:30: haircut",
        ),
        Scene(
            "scheduled, then cancelled",
            _reminder(now + timedelta(days=1)),
            {
                "email": Expected("cancelled", "cancelled", attempts=0),
                "in_app": Expected("cancelled", "cancelled", attempts=0),
            },
            cancelled=True,
        ),
    ]


def _note(template: str, recipient: Mapping[str, Any], **data: Any) -> dict[str, Any]:
    return {"template_id": template, "recipient": recipient, "data": data}


def _reminder(at: datetime) -> dict[str, Any]:
    request = _note("appointment_reminder", _ZOE, user_name="Zoë", time="9:30", what="haircut")
    return {**request, "send_at": at.isoformat()}
