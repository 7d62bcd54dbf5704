"""Settings of trying again, and of holding back: retries, circuit breakers, rate limits."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from tidings.domain.channels import Channel
from tidings.domain.limits import Over, Rate, Scope
from tidings.domain.priorities import PriorityWord
from tidings.settings.section import Seconds, Section


class RetryChanges(Section):
    """What differs from the general policy; what is not given is as there."""

    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    base: Annotated[float, Field(ge=0, le=3600)] | None = None
    cap: Annotated[float, Field(ge=0, le=86_400)] | None = None
    total: Seconds | None = None

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


_SOONER_AND_LONGER = RetryChanges(attempts=12, base=0.5, cap=300, total=172_800)


class RetrySettings(Section):
    attempts: Annotated[int, Field(ge=1, le=100)] = 8
    """Calls to a provider for one delivery at the most."""
    base: Annotated[float, Field(ge=0, le=3600)] = 2
    """Seconds: the ceiling of the first wait; it doubles with each attempt, with full jitter below it."""
    cap: Annotated[float, Field(ge=0, le=86_400)] = 900
    """Seconds: the ceiling of any wait."""
    total: Seconds = 86_400
    """Seconds from acceptance after which trying ends."""
    priority: dict[PriorityWord, RetryChanges] = Field({"critical": _SOONER_AND_LONGER})
    """What differs by priority, as `[retry.priority.critical]`; by default critical is retried sooner and for longer."""
    channel: dict[Channel, RetryChanges] = Field({})
    """What differs by channel, as `[retry.channel.sms]`; it goes before what differs by priority. An account can have a
    `retry` table of its own, which goes before both."""

    @property
    def general(self) -> dict[str, Any]:
        return self.model_dump(include={"attempts", "base", "cap", "total"})


class BreakerChanges(Section):
    """What differs from the general settings; what is not given is as there."""

    enabled: bool | None = None
    window: Annotated[int, Field(ge=2, le=300)] | None = None
    failure_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    minimum_calls: Annotated[int, Field(ge=1, le=100_000)] | None = None
    slow_after: Annotated[float, Field(gt=0, le=600)] | None = None
    open_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    open_cap: Annotated[float, Field(gt=0, le=86_400)] | None = None
    probes: Annotated[int, Field(ge=1, le=100)] | None = None

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class BreakerSettings(Section):
    enabled: bool = True
    """Hold an account back while it fails. Each of these can differ by account, as `[accounts.NAME.breaker]`.
    Webhooks, the in-app feed and the outbox have one only where theirs says `enabled = true`: one receiver that
    fails says nothing about the others."""
    window: Annotated[int, Field(ge=2, le=300)] = 10
    """Seconds over which calls are counted."""
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of failed and slow calls from which on the account is held back."""
    minimum_calls: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Calls in the window below which nothing is concluded."""
    slow_after: Annotated[float, Field(gt=0, le=600)] = 3
    """Seconds after which a call counts as slow, before it has ended."""
    open_seconds: Annotated[float, Field(gt=0, le=3600)] = 5
    """Seconds until the first probe; they double each time that it fails again."""
    open_cap: Annotated[float, Field(gt=0, le=86_400)] = 60
    """Seconds until a probe at the most."""
    probes: Annotated[int, Field(ge=1, le=100)] = 3
    """Calls of a round of probes, over all workers; all must succeed."""


def _rate(value: object) -> Rate:
    return value if isinstance(value, Rate) else Rate.parse(str(value))


RateText = Annotated[
    Rate, BeforeValidator(_rate), PlainSerializer(str), WithJsonSchema({"type": "string"})
]


class LimitSettings(Section):
    """At most so many calls to providers in any stretch of time, over all workers."""

    rate: RateText
    """How many in which time, as "100/s", "0.5/s", "3/h" or "500 per 10 s"."""
    scope: Scope = Scope.GLOBAL
    """What is counted together: everything, or each account, channel, category, template, recipient (address), user
    or api_key by itself."""
    over: Over = "wait"
    """What becomes of a delivery beyond the limit: wait, or skip."""
    account: str | None = None
    """Only for deliveries over this account."""
    channel: Channel | None = None
    """Only for deliveries over this channel."""
    category: str | None = None
    """Only for notifications of this category."""
    template: str | None = None
    """Only for notifications with this template."""
    api_key: str | None = None
    """Only for what was sent with the API key of this name."""
