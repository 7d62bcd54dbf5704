"""The rules of deciding, written anew from docs/explanation/decisions.md, and from nothing of the product.

It takes documents as the API takes them. Hours are looked up in a map of the minutes of a week, where the product
works with edges and stretches of time: what is wrong in one should not be wrong in the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

CHANNELS = ("email", "sms", "push", "in_app", "webhook", "chat")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WAITING_FOR_THE_TIME = {"email", "sms", "push", "chat"}
OUT_OF_REACH = {"no_content", "no_account", "no_address"}

_DAY = 24 * 60
_WEEK = 7 * _DAY
_BLOCK = 15  # minutes: clocks change at full quarters of an hour
_NEVER = timedelta(days=16)

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Template:
    category: str
    channels: frozenset[str]


@dataclass(frozen=True)
class World:
    """What is stored and configured. users: with `devices`, a list of tokens; suppressions: by channel and folded
    address. accounts: the channels that are served; addresses: those of accounts."""

    templates: Mapping[str, Template]
    categories: Mapping[str, Document]
    users: Mapping[str, Document]
    preferences: Mapping[str, Document]
    suppressions: Mapping[tuple[str, str], Sequence[Document]]
    accounts: frozenset[str]
    addresses: Mapping[str, str]
    timezone: str


@dataclass(frozen=True)
class Told:
    """What is told of a delivery. until: None where it is not for later. rule: None where it was not asked."""

    channel: str
    status: str
    reason: str
    until: datetime | None = None
    rule: str | None = None


@dataclass(frozen=True)
class Refused:
    code: str


@dataclass(frozen=True)
class _Case:
    world: World
    request: Document
    template: Template
    now: datetime
    begins: datetime
    later: bool
    told: list[Told] = field(default_factory=list)

    @property
    def recipient(self) -> Document:
        found: Document = self.request["recipient"]
        return found

    @property
    def user(self) -> Document:
        return self.world.users.get(self.recipient.get("user_id", ""), {})

    @property
    def preferences(self) -> Document:
        return self.world.preferences.get(self.recipient.get("user_id", ""), {})

    @property
    def category(self) -> Document:
        return self.world.categories.get(self.template.category, {})


def evaluate(world: World, request: Document, now: datetime) -> list[Told] | Refused:
    """What becomes of a request that comes at `now`."""
    template = world.templates.get(request["template_id"])
    if template is None:
        return Refused("unknown_template")
    asked = _asked(world, request)
    later = asked is not None and asked > now
    begins = asked if asked is not None and later else now
    expires = _moment(request.get("expires_at"))
    if expires is not None and expires <= begins:
        return Refused("already_expired")
    case = _Case(world, request, template, now, begins, later)
    told = [one for channel in _channels(case) for one in _of_channel(case, channel)]
    if all(one.reason in OUT_OF_REACH for one in told):
        return Refused("no_reachable_channel")
    if len(told) > 1_000:
        return Refused("too_many_deliveries")
    return list(_in_turn(told)) if request.get("routing") == "fallback" else told


def _channels(case: _Case) -> list[str]:
    wanted = case.request.get("channel_preferences")
    if wanted is not None:
        return sorted(set(wanted), key=wanted.index)
    return [one for one in CHANNELS if one in case.template.channels and _addresses(case, one)]


def _addresses(case: _Case, channel: str) -> list[str]:
    given, user = case.recipient, case.user
    if channel == "push":
        tokens = given.get("push_tokens") or user.get("devices") or []
        return sorted(set(tokens), key=tokens.index)
    found = {
        "email": given.get("email") or user.get("email"),
        "sms": given.get("phone") or user.get("phone"),
        "in_app": given.get("user_id"),
        "webhook": given.get("webhook_url") or case.world.addresses.get("webhook"),
        "chat": given.get("chat_url") or case.world.addresses.get("chat"),
    }[channel]
    return [found] if found else []


def _of_channel(case: _Case, channel: str) -> list[Told]:
    if channel not in case.template.channels:
        return [Told(channel, "skipped", "no_content")]
    if channel not in case.world.accounts:
        return [Told(channel, "skipped", "no_account")]
    addresses = _addresses(case, channel)
    if not addresses:
        return [Told(channel, "skipped", "no_address")]
    return [_of_address(case, channel, address) for address in addresses]


def _of_address(case: _Case, channel: str, address: str) -> Told:
    wanted, rule = _preference(case, channel)
    if _suppressed(case, channel, address):
        return Told(channel, "suppressed", "address_suppressed", rule=rule)
    if not wanted:
        reason = "not_chosen" if rule == "category_default" else "preference_off"
        return Told(channel, "skipped", reason, rule=rule)
    reason, until = _timing(case, channel)
    if reason == "no_send_time":
        return Told(channel, "skipped", reason, rule=rule)
    expires = _moment(case.request.get("expires_at"))
    if until is not None and expires is not None:
        until = min(until, expires)
    return Told(channel, "pending", reason, until, rule)


def _in_turn(told: Iterable[Told]) -> Iterable[Told]:
    """Routing by fallback: one begins, and those behind it wait for it."""
    begun = False
    for one in told:
        if one.status == "pending" and begun:
            yield Told(one.channel, "pending", "fallback_waiting", rule=one.rule)
        else:
            begun = begun or one.status == "pending"
            yield one


def _suppressed(case: _Case, channel: str, address: str) -> bool:
    key = channel, address.lower() if channel == "email" else address
    return any(
        _still(entry, case.now)
        and entry.get("category") in (None, case.template.category)
        and not (case.category.get("mandatory") and entry["reason"] == "unsubscribed")
        for entry in case.world.suppressions.get(key, ())
    )


def _still(entry: Document, now: datetime) -> bool:
    expires = _moment(entry.get("expires_at"))
    return expires is None or expires > now


def _preference(case: _Case, channel: str) -> tuple[bool, str]:
    if case.category.get("mandatory"):
        return True, "mandatory"
    chosen = case.preferences
    if chosen.get("channels", {}).get(channel) is False:
        return False, "channel_off"
    for name, key in (
        ("templates", case.request["template_id"]),
        ("categories", case.template.category),
    ):
        choice = chosen.get(name, {}).get(key, {}).get(channel)
        if choice is not None:
            return choice, {"templates": "template_choice", "categories": "category_choice"}[name]
    return case.category.get("channels", {}).get(channel, True), "category_default"


def _timing(case: _Case, channel: str) -> tuple[str, datetime | None]:
    at_the_time = ("scheduled", case.begins) if case.later else ("queued", None)
    if case.request.get("priority") == "critical" or channel not in WAITING_FOR_THE_TIME:
        return at_the_time
    quiet = case.preferences.get("quiet_hours") if case.category.get("quiet_hours", True) else None
    window = case.category.get("window")
    zone = _zone(case.world, case.request)
    quiet_map = _week(quiet) if quiet else bytes(_WEEK)
    window_map = _week(window) if window else b"\1" * _WEEK
    now = _minute(zone, case.begins)
    if not quiet_map[now] and window_map[now]:
        return at_the_time
    until = _first(_both(quiet_map, window_map), zone, case.begins)
    if until is None:
        return "no_send_time", None
    return ("quiet_hours" if quiet_map[now] else "send_window"), until


def _zone(world: World, request: Document) -> ZoneInfo:
    recipient = request["recipient"]
    user = world.users.get(recipient.get("user_id", ""), {})
    name = recipient.get("timezone") or user.get("timezone") or world.timezone
    return ZoneInfo(name if name in available_zones() else world.timezone)


def _asked(world: World, request: Document) -> datetime | None:
    """When it is to be sent. By the recipient's clock: at the first moment at which it shows this time or a later one,
    looked for quarter by quarter, for clocks change between two of them."""
    if "send_at_local" not in request:
        return _moment(request.get("send_at"))
    zone = _zone(world, request)
    wanted = datetime.fromisoformat(request["send_at_local"])
    quarter = wanted.replace(tzinfo=UTC, minute=0, second=0, microsecond=0) - timedelta(hours=30)
    while (ahead := wanted - _wall(zone, quarter)) >= timedelta(minutes=_BLOCK):
        quarter += timedelta(minutes=_BLOCK)
    return quarter + max(ahead, timedelta())  # less than nothing: clocks were put forward over it


def _week(hours: Document) -> bytes:
    """A map of the week from Monday 00:00 on: 1 for each minute that is inside."""
    begin, end = _clock(hours["from"]), _clock(hours["to"])
    length = (end - begin) % _DAY or _DAY
    inside = bytearray(_WEEK)
    for day in hours.get("days") or DAYS:
        first = DAYS.index(day) * _DAY + begin
        for minute in range(first, first + length):
            inside[minute % _WEEK] = 1
    return bytes(inside)


@lru_cache(maxsize=4_096)
def _both(quiet: bytes, window: bytes) -> bytes:
    """Two weeks, so that a stretch over the end of one is in one piece: 1 where both allow it."""
    return bytes(inside and not still for still, inside in zip(quiet, window, strict=True)) * 2


def _first(allowed: bytes, zone: ZoneInfo, begins: datetime) -> datetime | None:
    """The begin of the first minute behind this one that is allowed."""
    if 1 not in allowed:
        return None
    minute = begins.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < begins + _NEVER:
        length = _BLOCK - minute.minute % _BLOCK
        shown = _minute(zone, minute)
        found = allowed.find(1, shown, shown + length)
        if found >= 0:
            return minute + timedelta(minutes=found - shown)
        minute += timedelta(minutes=length)
    return None


def _minute(zone: ZoneInfo, moment: datetime) -> int:
    """Of the week, on the clock on the wall."""
    wall = _wall(zone, moment)
    return wall.weekday() * _DAY + wall.hour * 60 + wall.minute


def _wall(zone: ZoneInfo, moment: datetime) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _clock(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


available_zones = lru_cache(maxsize=1)(available_timezones)
