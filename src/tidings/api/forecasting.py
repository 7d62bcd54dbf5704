"""How long it would take to send what a dry run counts, as far as the rate limits tell."""

from collections import Counter
from datetime import datetime

from pydantic import BaseModel

from tidings.api.parts import Parts
from tidings.domain import limits as rules
from tidings.domain.channels import Channel
from tidings.domain.limits import Limit, Scope, holds_for, key_of
from tidings.domain.phones import country_of
from tidings.domain.provider import Account
from tidings.domain.routing import Facts, needed, route, service_at
from tidings.intake.drafting import Draft
from tidings.store import limits
from tidings.store.acceptance import NewDelivery

_KEYS = 1_000  # of each limit, those used last
_PERSONAL = frozenset({Scope.RECIPIENT, Scope.USER})


class Expected(BaseModel):
    """seconds: how long sending would take under the rate limits as they are used up at the moment, if nothing else
    came; 0 where they hold nothing back. limited_by: the limit that takes longest. last_due_at: when the last one would
    begin whose time is later than now. Limits per recipient, caps, and those that skip, are not counted."""

    seconds: float
    limited_by: str | None
    last_due_at: datetime | None


class Forecast:
    """Counts what would be sent, delivery by delivery. app, application: number and name of the API key."""

    def __init__(self, parts: Parts, app: int, application: str) -> None:
        self._parts = parts
        self._app = str(app)
        self._application = application
        self._limits = [
            one for one in parts.limits if one.scope not in _PERSONAL and one.over == "wait"
        ]
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._last_due_at: datetime | None = None

    def add(self, draft: Draft, one: NewDelivery) -> None:
        if one.due_at is not None and (self._last_due_at is None or one.due_at > self._last_due_at):
            self._last_due_at = one.due_at
        if not self._limits or not one.queued:
            return
        account = self._account(draft, one)
        facts = rules.Facts(
            account=account.name if account else "",
            channel=one.channel,
            category=draft.row.category,
            template=draft.row.template_id,
            recipient="",
            user=None,
            api_key=self._app,
            application=self._application,
        )
        for limit in self._limits:
            if holds_for(limit, facts) and (key := key_of(limit, facts)) is not None:
                self._wanted[limit.name, key] += 1

    async def expected(self) -> Expected:
        """With one look at how far the limits are used up."""
        named = {one.name: one for one in self._limits}
        rates = {name: named[name].rate for name, _ in self._wanted}
        uses = await limits.used(self._parts.pool, rates, _KEYS) if rates else []
        used = {one.key: one.used for one in uses}
        seconds, limited_by = max(
            (
                (_seconds(named[name], count, used.get(key, 0)), name)
                for (name, key), count in self._wanted.items()
            ),
            default=(0.0, ""),
        )
        return Expected(
            seconds=round(seconds, 3),
            limited_by=limited_by if seconds else None,
            last_due_at=self._last_due_at,
        )

    def _account(self, draft: Draft, one: NewDelivery) -> Account | None:
        """Which would take it if all were well."""
        return route(
            [account for account in self._parts.accounts if one.channel in account.channels],
            Facts(
                draft.row.category,
                country=country_of(one.address or "") if one.channel is Channel.SMS else None,
                service=service_at(one.channel, one.address or ""),
                needs=needed(one.channel, draft.row.payload),
            ),
            pinned=None,
            avoid=(),
            blocked=lambda _: False,
            limited=lambda _: False,
            busy=lambda _: False,
            uniform=0.0,
        ).account


def _seconds(limit: Limit, wanted: int, used: int) -> float:
    """Until the last of so many may go."""
    beyond = wanted - max(0, limit.rate.count - used)
    return max(0, beyond) * limit.rate.spacing / rules.SECOND
