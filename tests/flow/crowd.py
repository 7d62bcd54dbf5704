"""Random people, categories, templates, suppressions and requests, as documents; and how they are stored by the API."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.flow.evaluator import CHANNELS, DAYS, Template, World
from tests.support.system import System

Document = dict[str, Any]

ZONE = "Pacific/Chatham"
"""Of the installation: none that the machine has by chance."""
WEBHOOK = "https://hooks.example.com/all"
SETTINGS: Document = {
    "timezone": ZONE,
    "accounts": {
        # In the place of the outbox of development, which would serve every channel.
        "outbox": {"provider": "outbox", "channels": ["email", "push", "chat"]},
        "hooks": {"provider": "webhook", "url": WEBHOOK, "secret": ["whsec_" + 40 * "a"]},
    },
}
SERVED = frozenset({"email", "push", "chat", "webhook", "in_app"})

SOON = "soon"
"""Over before the first question."""

_ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"),
    *("Pacific/Kiritimati", "America/St_Johns", "Africa/Casablanca", "Asia/Kathmandu"),
)
_CONTENT: Document = {
    "email": {"subject": "s", "text": "t"},
    "sms": {"body": "b"},
    "push": {"title": "t", "body": "b"},
    "in_app": {"title": "t", "body": "b"},
    "webhook": {},
    "chat": {"body": "b"},
}
_CATEGORIES = tuple(f"category-{number}" for number in range(16))
_UNDECLARED = ("undeclared", "transactional")
_TEMPLATES = tuple(f"template-{number}" for number in range(24))
_AT_ONCE = 16


class Crowd:
    """What was drawn once, and requests to it, drawn as they are asked for."""

    def __init__(self, draw: Random, users: int) -> None:
        self._draw = draw
        self.user_ids = [f"user-{number}" for number in range(users)]
        self.categories = {one: self._category() for one in _CATEGORIES}
        self.templates = {one: self._template() for one in _TEMPLATES}
        # One that not everybody can be reached with, whatever else was drawn.
        self.templates[_TEMPLATES[0]] = Template(draw.choice(_CATEGORIES), frozenset({"push"}))
        self.users = {one: self._user(one) for one in self.user_ids if draw.random() < 0.95}
        self.preferences = {one: self._wishes() for one in self.user_ids if draw.random() < 0.85}
        self.suppressions = self._suppressions()

    def world(self) -> World:
        listed: dict[tuple[str, str], list[Document]] = defaultdict(list)
        for one in self.suppressions:
            folded = one["address"].lower() if one["channel"] == "email" else one["address"]
            listed[one["channel"], folded].append(one)
        return World(
            templates=self.templates,
            categories=self.categories,
            users=self.users,
            preferences=self.preferences,
            suppressions=listed,
            accounts=SERVED,
            addresses={"webhook": WEBHOOK},
            timezone=ZONE,
        )

    def bare(self) -> Document:
        """Names a user, a template and a priority."""
        draw = self._draw
        return {
            "template_id": draw.choice(_TEMPLATES),
            "recipient": {"user_id": draw.choice(self.user_ids)},
            "priority": draw.choice(("low", "medium", "high", "critical")),
        }

    def rich(self, now: datetime) -> Document:
        """Says all that a request may say of recipient, channels, order and time."""
        draw = self._draw
        request: Document = {**self.bare(), "recipient": self._recipient()}
        if draw.random() < 0.05:
            request["template_id"] = "nowhere"
        if draw.random() < 0.5:
            request["channel_preferences"] = draw.choices(CHANNELS, k=draw.randint(1, 6))
        if draw.random() < 0.5:
            request["routing"] = draw.choice(("all", "fallback"))
        begins = now
        if draw.random() < 0.2:
            zone, change = draw.choice(_changes(now))
            begins = change + timedelta(seconds=draw.randint(-30_000, 30_000))
            request["send_at"] = begins.isoformat()
            request["recipient"]["timezone"] = zone
        elif draw.random() < 0.3:
            zone, change = draw.choice(_changes(now))
            wall = (change + timedelta(seconds=draw.randint(-9_000, 9_000))).astimezone(
                ZoneInfo(zone)
            )
            if draw.random() < 0.5:
                wall = now + timedelta(seconds=draw.randint(-(10**5), 10**7))
            request["send_at_local"] = wall.replace(tzinfo=None, microsecond=0).isoformat()
            request["recipient"]["timezone"] = zone
            # Some clock shows it on the day after.
            begins = max(now, wall.replace(tzinfo=UTC)) + timedelta(days=2)
        elif draw.random() < 0.6:
            begins = now + timedelta(seconds=draw.randint(-(10**6), 6 * 10**7))
            request["send_at"] = begins.isoformat()
        if draw.random() < 0.3:
            begins += timedelta(minutes=draw.randint(1, 3_000))
            request["expires_at"] = begins.isoformat()
        return request

    def _recipient(self) -> Document:
        draw = self._draw
        of = draw.choice(self.user_ids)
        given: Document = {
            "user_id": of,
            "email": self._email(draw.choice(self.user_ids)),
            "phone": "+15551234567",
            "push_tokens": [f"token-{draw.choice(self.user_ids)}-0", "token-other", "token-other"],
            "webhook_url": "https://hooks.example.com/own",
            "chat_url": "https://chat.example.com/room",
            "timezone": draw.choice((*_ZONES, "Mars/Base")),
        }
        chosen = {name: one for name, one in given.items() if draw.random() < 0.35}
        return chosen if set(chosen) - {"timezone"} else {**chosen, "user_id": of}

    def _email(self, user_id: str) -> str:
        address = f"{user_id}@example.com"
        return self._draw.choice((address, address.upper().replace("EXAMPLE.COM", "example.com")))

    def _user(self, user_id: str) -> Document:
        draw = self._draw
        given: Document = {
            "email": self._email(user_id),
            "phone": f"+1555{self.user_ids.index(user_id):07}",
            "timezone": draw.choice(_ZONES),
        }
        chosen = {name: one for name, one in given.items() if draw.random() < 0.75}
        devices = draw.choice((0, 0, 1, 2))
        return {**chosen, "devices": [f"token-{user_id}-{number}" for number in range(devices)]}

    def _category(self) -> Document:
        draw = self._draw
        mandatory = draw.random() < 0.2
        found: Document = {"mandatory": mandatory, "quiet_hours": draw.random() < 0.8}
        if not mandatory:
            found["channels"] = self._choices(0.3)
        if draw.random() < 0.5:
            found["window"] = self._hours(draw.choice((30, 120, 600, 1_439)))
        return found

    def _template(self) -> Template:
        channels = [one for one in CHANNELS if self._draw.random() < 0.7] or ["email"]
        category = self._draw.choice((*_CATEGORIES, *_UNDECLARED))
        return Template(category, frozenset(channels))

    def _wishes(self) -> Document:
        draw = self._draw
        categories = draw.sample((*_CATEGORIES, *_UNDECLARED), 6)
        wishes: Document = {
            "channels": self._choices(0.2),
            "categories": {one: self._choices(0.5) for one in categories},
            "templates": {one: self._choices(0.4) for one in draw.sample(_TEMPLATES, 5)},
        }
        if draw.random() < 0.6:
            wishes["quiet_hours"] = self._hours(draw.choice((60, 480, 900, 1_439)))
        return wishes

    def _choices(self, share: float) -> dict[str, bool]:
        draw = self._draw
        return {one: draw.random() < 0.5 for one in CHANNELS if draw.random() < share}

    def _hours(self, most: int) -> Document:
        draw = self._draw
        begin, length = draw.randrange(1_440), draw.randint(1, most)
        hours: Document = {"from": _clock(begin), "to": _clock(begin + length)}
        if draw.random() < 0.4:
            hours["days"] = draw.sample(DAYS, draw.randint(1, 6))
        return hours

    def _suppressions(self) -> list[Document]:
        draw = self._draw
        found: dict[tuple[str, ...], Document] = {}
        for user_id in self.user_ids:
            addresses = {
                "email": self._email(user_id),
                "push": f"token-{user_id}-0",
                "in_app": user_id,
            }
            for channel, address in addresses.items():
                if draw.random() < 0.25:
                    reason = draw.choice(("bounced", "complained", "unsubscribed", "manual"))
                    one: Document = {"channel": channel, "address": address, "reason": reason}
                    if draw.random() < 0.6:
                        one["category"] = draw.choice((*_CATEGORIES, *_UNDECLARED))
                    if draw.random() < 0.4:
                        one["expires_at"] = draw.choice((SOON, "2150-01-01T00:00:00Z"))
                    found[channel, address.lower(), one.get("category", "")] = one
        common = {"channel": "webhook", "address": WEBHOOK, "category": _CATEGORIES[0]}
        return [*found.values(), {**common, "reason": "manual"}]

    async def store(self, system: System) -> None:
        """Wishes first: what is mandatory could not be turned off any more."""
        await in_turn(
            self._call(system, 200, "PUT", f"/users/{one}/preferences", wishes)
            for one, wishes in self.preferences.items()
        )
        await in_turn(
            self._call(system, 200, "PUT", f"/categories/{one}", declared)
            for one, declared in self.categories.items()
        )
        for template_id, one in self.templates.items():
            content = {
                channel: _CONTENT[channel] for channel in CHANNELS if channel in one.channels
            }
            await system.template(content, template_id, category=one.category)
        await in_turn(
            self._call(system, 200, "PUT", f"/users/{one}", _profile(user))
            for one, user in self.users.items()
        )
        await in_turn(self._register(system, *one) for one in self.users.items())
        soon = datetime.now(UTC) + timedelta(seconds=3)
        for entry in self.suppressions:
            if entry.get("expires_at") == SOON:
                entry["expires_at"] = soon.isoformat()
        await self._call(
            system, 201, "POST", "/suppressions/bulk", {"suppressions": self.suppressions}
        )
        await asyncio.sleep((soon - datetime.now(UTC)).total_seconds())  # until they have expired

    async def _register(self, system: System, user_id: str, user: Document) -> None:
        for token in user["devices"]:
            body = {"platform": "android", "token": token}
            answer = await system.call("POST", f"/users/{user_id}/devices", body)
            assert answer.status in {200, 201}, answer.body

    @staticmethod
    async def _call(system: System, status: int, method: str, path: str, body: Document) -> None:
        answer = await system.call(method, path, body)
        assert answer.status == status, answer.body


async def in_turn(calls: Iterable[Coroutine[None, None, None]]) -> None:
    """Some at a time."""
    left = iter(calls)
    while some := list(islice(left, _AT_ONCE)):
        await asyncio.gather(*some)


@lru_cache
def _changes(now: datetime) -> list[tuple[str, datetime]]:
    """The hours in which clocks change within a year."""
    found = []
    for name in _ZONES:
        zone = ZoneInfo(name)
        for hours in range(366 * 24):
            hour = now + timedelta(hours=hours)
            before, after = (each.astimezone(zone) for each in (hour, hour + timedelta(hours=1)))
            if before.utcoffset() != after.utcoffset():
                found.append((name, hour))
    return found


def _profile(user: Document) -> Document:
    return {name: one for name, one in user.items() if name != "devices"}


def _clock(minutes: int) -> str:
    hours, rest = divmod(minutes % 1_440, 60)
    return f"{hours:02}:{rest:02}"
