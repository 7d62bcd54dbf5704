"""Why somebody did or did not get a message, or would: the decisions, channel by channel, in their order."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidings.api.authentication import CanRead
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.api.verdicts import Step, Verdict, marked, said, verdict_of
from tidings.api.waiting import Waiting, waiting_for
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.explanations import Mark, recalled
from tidings.domain.priorities import PriorityWord
from tidings.domain.routing import Choice
from tidings.intake.drafting import Draft, Submission
from tidings.intake.refusals import Refusal
from tidings.intake.request import Recipient, SendRequest, TemplateId, UserId
from tidings.store import attempts, deliveries, notifications, receipts
from tidings.store.attempts import AttemptRow
from tidings.store.deliveries import DeliveryRow
from tidings.store.receipts import ReceiptRow

router = APIRouter(tags=["explain"])

_CHOICES = {choice.value: choice.text for choice in Choice}


class ExplainedDelivery(BaseModel):
    """steps: from the first decision to the last, which led to the status."""

    delivery_id: UUID
    channel: Channel
    status: DeliveryStatus
    reason: str | None
    text: str
    steps: list[Step]


class Explanation(BaseModel):
    notification_id: UUID
    template_id: str
    template_version: int
    category: str
    priority: PriorityWord
    user_id: str | None
    accepted_at: datetime
    deliveries: list[ExplainedDelivery]


class Prospect(BaseModel):
    """would_send: over one channel at least, now or later. refused: why a send would not even be accepted."""

    user_id: str
    template_id: str
    template_version: int
    category: str
    would_send: bool
    refused: str | None
    channels: list[Verdict]


@router.get("/notifications/{notification_id}/explain", responses=problems(404))
async def explain(notification_id: UUID, parts: Wired, _: CanRead) -> Explanation:
    """The chain of decisions that led to where each delivery of a notification is."""
    row = await notifications.facts(parts.pool, notification_id)
    if row is None:
        raise Problem(Code.NOT_FOUND, "There is no notification with this id.")
    found = (await deliveries.of_notifications(parts.pool, [notification_id]))[notification_id]
    decided = await deliveries.decisions_of(parts.pool, notification_id)
    tried = await attempts.of_notification(parts.pool, notification_id)
    reported = await receipts.of_notification(parts.pool, notification_id)
    waiting = await waiting_for(parts, row, found)
    return Explanation(
        notification_id=row.id,
        template_id=row.template_id,
        template_version=row.template_version,
        category=row.category,
        priority=row.priority.word,
        user_id=row.user_id,
        accepted_at=row.accepted_at,
        deliveries=[
            _explained(
                one,
                row.accepted_at,
                list(recalled(decided.get(one.id))),
                tried.get(one.id, []),
                reported.get(one.id, []),
                waiting.get(one.id),
            )
            for one in found
        ],
    )


@router.get("/users/{user_id}/explain", responses=problems(404))
async def prospect(
    user_id: UserId,
    parts: Wired,
    key: CanRead,
    template_id: Annotated[TemplateId, Query()],
    priority: PriorityWord = "medium",
) -> Prospect:
    """Whether this user would get this template now, over which channels, and why: decided as a send decides, with
    nothing stored. Data is not looked at."""
    template = await parts.templates.find(template_id)
    if template is None:
        raise Problem(Code.NOT_FOUND, "There is no template with this id that is published.")
    request = SendRequest(
        template_id=template_id, recipient=Recipient(user_id=user_id), priority=priority
    )
    asked = Submission(
        key.id, key.number, request, b"", pinned=replace(template, contract=None, digest=None)
    )
    [result] = await parts.intake.consider([asked])
    verdicts = _verdicts(result)
    return Prospect(
        user_id=user_id,
        template_id=template_id,
        template_version=template.version,
        category=template.category,
        would_send=any(one.status is DeliveryStatus.PENDING for one in verdicts),
        refused=result.detail if isinstance(result, Refusal) else None,
        channels=verdicts,
    )


def _verdicts(result: Draft | Refusal) -> list[Verdict]:
    return [] if isinstance(result, Refusal) else [verdict_of(one) for one in result.deliveries]


def _explained(
    one: DeliveryRow,
    accepted_at: datetime,
    marks: Sequence[Mark],
    tried: Sequence[AttemptRow],
    reported: Sequence[ReceiptRow],
    waiting: Waiting | None,
) -> ExplainedDelivery:
    steps = [marked(mark, accepted_at) for mark in marks] + [_attempted(row) for row in tried]
    steps += [_reported(row) for row in reported]
    in_order = sorted(steps, key=lambda step: step.at or accepted_at)
    reason = waiting.reason if waiting else one.reason
    text = said(reason, one.status)
    return ExplainedDelivery(
        delivery_id=one.id,
        channel=one.channel,
        status=one.status,
        reason=reason,
        text=text,
        steps=[*in_order, *_last(one, waiting, text)],
    )


def _reported(row: ReceiptRow) -> Step:
    return Step(
        code=row.type,
        text=f"The provider reported: {row.type}{f' ({row.bounce})' if row.bounce else ''}.",
        at=row.occurred_at,
        detail=" ".join(filter(None, [row.code, row.detail])) or None,
        account=row.account,
    )


def _last(one: DeliveryRow, waiting: Waiting | None, text: str) -> Iterator[Step]:
    """Where it stands."""
    if waiting is not None:
        yield Step(code=str(waiting.reason), text=text, until=waiting.until, detail=waiting.detail)
    else:
        ended = one.delivered_at or one.sent_at or one.updated_at
        yield Step(code=one.reason or one.status, text=text, at=ended, detail=one.detail)


def _attempted(row: AttemptRow) -> Step:
    meaning = said(row.reason, row.outcome)
    return Step(
        code=row.reason,
        text=f"Attempt {row.number} over {row.account or 'no account'}: {row.outcome}. {meaning} "
        f"{_CHOICES.get(row.choice or '', '')}".strip(),
        at=row.started_at,
        detail=row.detail,
        attempt=row.number,
        account=row.account,
        choice=row.choice,
    )
