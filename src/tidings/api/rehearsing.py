"""Dry runs: what would become of requests, counted, with samples of what would be read."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from tidings.api.forecasting import Expected, Forecast
from tidings.api.parts import Parts
from tidings.api.problems import Code, FieldError, Problem, ProblemDetails, of_refusal
from tidings.api.refusals import Refusals, refusals_of
from tidings.api.routes.template_checks import compiled
from tidings.api.verdicts import Verdict, said, verdict_of
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.locales import chosen
from tidings.domain.messages import described
from tidings.domain.templates import TemplateVersion
from tidings.intake.drafting import Draft, Receipt, Result
from tidings.intake.refusals import Refusal
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.store import templates
from tidings.store.acceptance import NewDelivery
from tidings.store.api_keys import ApiKey

_SAMPLES = 10


class Outcome(BaseModel):
    """How many deliveries over a channel would at first be in a status, and why. pending is what would be sent."""

    channel: Channel
    status: DeliveryStatus
    reason: str | None
    text: str
    count: int


class Sample(BaseModel):
    """What the first one in a language would read, over a channel. content: null where it would not render; error
    says why. Links to unsubscribe are left out."""

    channel: Channel
    locale: str | None
    content: dict[str, Any] | None
    error: str | None


class Rehearsal(BaseModel):
    """accepted: notifications that would be; would_send: those of them of which something would be sent, now or later.
    repeated: that were accepted before, under the same idempotency key. refused: that would not be accepted."""

    dry_run: Literal[True]
    accepted: int
    would_send: int
    repeated: int
    refused: int
    outcomes: list[Outcome]
    refusals: list[Refusals]
    samples: list[Sample]
    expected: Expected


class SendRehearsal(Rehearsal):
    """deliveries: empty where it was accepted before, and nothing new would be."""

    deliveries: list[Verdict]


class RehearsedItem(BaseModel):
    """deliveries of one that would be accepted; notification_id of one that was before; or the problem."""

    index: int
    deliveries: list[Verdict] | None = None
    notification_id: UUID | None = None
    problem: ProblemDetails | None = None


class BulkRehearsal(Rehearsal):
    results: list[RehearsedItem]


class StreamRehearsal(Rehearsal):
    """lines: of the body, which are not empty."""

    lines: int


class BroadcastRehearsal(Rehearsal):
    """users: of the audience as it is now."""

    users: int


@dataclass(frozen=True, slots=True)
class _Kind:
    channel: Channel
    status: DeliveryStatus
    reason: str | None


class Rehearsed:
    """What was rehearsed so far; its size does not grow with it."""

    def __init__(self, parts: Parts, key: ApiKey) -> None:
        self._parts = parts
        self._forecast = Forecast(parts, key.number, key.name)
        self._outcomes: Counter[_Kind] = Counter()
        self._refusals: Counter[str] = Counter()
        self._firsts: dict[tuple[str, int, Channel, str | None], tuple[Draft, NewDelivery]] = {}
        self._accepted = self._would_send = self._repeated = 0

    def add(self, results: Iterable[Draft | Result]) -> None:
        for one in results:
            if isinstance(one, Refusal):
                self.refuse(of_refusal(one))
            elif isinstance(one, Receipt):
                self._repeated += 1
            else:
                self._count(one)

    def refuse(self, problem: Problem) -> None:
        self._refusals[problem.code.code] += 1

    async def view(self) -> dict[str, Any]:
        """The fields of a Rehearsal."""
        return {
            "dry_run": True,
            "accepted": self._accepted,
            "would_send": self._would_send,
            "repeated": self._repeated,
            "refused": self._refusals.total(),
            "outcomes": [
                Outcome(
                    channel=kind.channel,
                    status=kind.status,
                    reason=kind.reason,
                    text=said(kind.reason, kind.status),
                    count=count,
                )
                for kind, count in self._outcomes.most_common()
            ],
            "refusals": refusals_of(self._refusals),
            "samples": await self._samples(),
            "expected": await self._forecast.expected(),
        }

    def _count(self, draft: Draft) -> None:
        self._accepted += 1
        sends = False
        for one in draft.deliveries:
            verdict = verdict_of(one)
            self._outcomes[_Kind(one.channel, one.status, verdict.reason)] += 1
            if one.status is DeliveryStatus.PENDING:
                sends = True
                self._forecast.add(draft, one)
                self._keep(draft, one)
        self._would_send += sends

    def _keep(self, draft: Draft, one: NewDelivery) -> None:
        locale = draft.row.payload["recipient"]["locale"]
        key = draft.row.template_id, draft.row.template_version, one.channel, locale
        if len(self._firsts) < _SAMPLES:
            self._firsts.setdefault(key, (draft, one))

    async def _samples(self) -> list[Sample]:
        wanted = {(template_id, version) for template_id, version, *_ in self._firsts}
        versions = await templates.versions(self._parts.pool, wanted) if wanted else {}
        return [
            await asyncio.to_thread(
                _sample,
                versions[one.row.template_id, one.row.template_version],
                one,
                delivery.channel,
            )
            for one, delivery in self._firsts.values()
        ]


def _sample(version: TemplateVersion, draft: Draft, channel: Channel) -> Sample:
    payload = draft.row.payload
    tags = [tag for tag, written in version.locales.items() if channel in written]
    locale = chosen(payload["recipient"]["locale"], tags)
    try:
        render = compiled(version.template_id, version)[channel]
        content = render(context_of(payload["data"], payload["recipient"]))
    except (RenderingError, TemplateSourceError) as error:
        return Sample(channel=channel, locale=locale, content=None, error=str(error))
    return Sample(channel=channel, locale=locale, content=described(content), error=None)


def take_dry_run(document: dict[str, Any]) -> bool:
    """Whether it is one; the member is taken out. Raises Problem."""
    wanted = document.pop("dry_run", False)
    if not isinstance(wanted, bool):
        message = "Input should be a valid boolean"
        where = [FieldError(path="dry_run", message=message)]
        raise Problem(Code.INVALID_REQUEST, f"dry_run: {message}", where)
    return wanted
