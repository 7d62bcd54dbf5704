"""Opens and clicks: of a notification, a template, and a batch; all of them, and those of people."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidings.api.authentication import CanRead
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.domain.tracking import PIXEL
from tidings.intake.request import Moment, TemplateId
from tidings.store import batches, conversions, engagements, notifications, templates
from tidings.store.conversions import Total
from tidings.store.engagements import LinkCount, Totals

router = APIRouter(tags=["engagement"])

_DAYS = timedelta(days=30)


class CountView(BaseModel):
    """requests: all of them; persons: of these, those that a person made, as far as can be told; messages: of how many
    messages a person made at least one."""

    requests: int
    persons: int
    messages: int


class ChannelView(BaseModel):
    channel: str
    opens: CountView
    clicks: CountView


class ConversionView(BaseModel):
    """What users did, put down to these messages: count, by how many different users, and what it adds up to."""

    channel: str
    name: str
    count: int
    users: int
    value: Decimal | None
    currency: str | None


class EngagementView(BaseModel):
    channels: list[ChannelView]
    conversions: list[ConversionView]


class TemplateEngagementView(EngagementView):
    """since: of messages that were accepted from then on."""

    template_id: str
    since: datetime


class LinkView(BaseModel):
    """link: its number in the message, from 1; null for an open. rule: by which the last request was judged. person_at:
    when a person last made one."""

    delivery_id: UUID
    type: Literal["opened", "clicked"]
    link: int | None
    requests: int
    persons: int
    rule: str
    first_at: datetime
    last_at: datetime
    person_at: datetime | None


class NotificationEngagementView(BaseModel):
    deliveries: list[LinkView]


@router.get("/notifications/{notification_id}/engagement", responses=problems(404))
async def of_notification(
    notification_id: UUID, parts: Wired, _: CanRead
) -> NotificationEngagementView:
    """Who opened a notification and followed its links, people and machines."""
    if await notifications.facts(parts.pool, notification_id) is None:
        raise Problem(Code.NOT_FOUND, "There is no notification with this id.")
    found = await engagements.of_notifications(parts.pool, [notification_id])
    return NotificationEngagementView(deliveries=[_link(one) for one in found])


@router.get("/templates/{template_id}/engagement", responses=problems(404))
async def of_template(
    template_id: TemplateId,
    parts: Wired,
    _: CanRead,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    since: Annotated[Moment | None, Query(description="By default, 30 days ago.")] = None,
) -> TemplateEngagementView:
    """How often a template's messages were opened and their links followed, by channel."""
    if await templates.state(parts.pool, template_id) is None:
        raise Problem(Code.NOT_FOUND, "There is no template with this id.")
    moment = since or datetime.now(UTC) - _DAYS
    found = await engagements.of_template(parts.pool, template_id, version=version, since=moment)
    done = await conversions.of_template(parts.pool, template_id, version=version, since=moment)
    return TemplateEngagementView(
        template_id=template_id,
        since=moment,
        channels=_channels(found),
        conversions=_conversions(done),
    )


@router.get("/batches/{batch_id}/engagement", responses=problems(404))
async def of_batch(batch_id: UUID, parts: Wired, _: CanRead) -> EngagementView:
    """How often a batch's messages were opened and their links followed, by channel."""
    if await batches.find(parts.pool, batch_id) is None:
        raise Problem(Code.NOT_FOUND, "There is no batch with this id.")
    found = await engagements.of_batch(parts.pool, batch_id)
    done = await conversions.of_batch(parts.pool, batch_id)
    return EngagementView(channels=_channels(found), conversions=_conversions(done))


def _channels(found: Sequence[Totals]) -> list[ChannelView]:
    return [
        ChannelView(
            channel=one.channel,
            opens=CountView(
                requests=one.open_requests,
                persons=one.open_persons,
                messages=one.opened_messages,
            ),
            clicks=CountView(
                requests=one.click_requests,
                persons=one.click_persons,
                messages=one.clicked_messages,
            ),
        )
        for one in found
    ]


def _conversions(done: Sequence[Total]) -> list[ConversionView]:
    return [
        ConversionView(
            channel=one.channel,
            name=one.name,
            count=one.count,
            users=one.people,
            value=one.value,
            currency=one.currency,
        )
        for one in done
    ]


def _link(one: LinkCount) -> LinkView:
    return LinkView(
        delivery_id=one.delivery_id,
        type="opened" if one.link == PIXEL else "clicked",
        link=None if one.link == PIXEL else one.link,
        requests=one.requests,
        persons=one.persons,
        rule=one.rule,
        first_at=one.first_at,
        last_at=one.last_at,
        person_at=one.person_at,
    )
