"""Rate limits: which there are, and how far they are used up."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel

from tidings.api.authentication import CanRead
from tidings.api.parts import Wired
from tidings.api.responses import problems
from tidings.domain.limits import Limit, Over, Scope
from tidings.store import limits
from tidings.store.limits import Use

router = APIRouter(prefix="/limits", tags=["limits"])

_SHOWN = 100  # keys of each limit, those used last
_PERSONAL = frozenset({Scope.RECIPIENT, Scope.USER})


class UseView(BaseModel):
    """subject: the account, channel, category, template or API key that is counted; null for all. used: calls that
    count at the moment. next_at: when there is room again, where there is none."""

    subject: str | None
    used: int
    next_at: datetime | None


class LimitView(BaseModel):
    """rate: `count` calls in any `seconds`. What is null narrows the limit to nothing. uses: of late, by subject;
    empty where single people are counted, of whom only hashes are stored."""

    name: str
    rate: str
    count: int
    seconds: float
    scope: Scope
    over: Over
    account: str | None
    channel: str | None
    category: str | None
    template: str | None
    api_key: str | None
    uses: list[UseView]


class LimitsView(BaseModel):
    limits: list[LimitView]


@router.get("", responses=problems())
async def listed(parts: Wired, _: CanRead) -> LimitsView:
    """The rate limits and how far they are used up"""
    shown = {one.name: one.rate for one in parts.limits if one.scope not in _PERSONAL}
    found = await limits.used(parts.pool, shown, _SHOWN) if shown else []
    names = await _key_names(parts, found)
    return LimitsView(limits=[_view(one, found, names) for one in parts.limits])


async def _key_names(parts: Wired, found: list[Use]) -> dict[str, str]:
    """Of the API keys that are counted, by their numbers."""
    by_key = {one.name for one in parts.limits if one.scope is Scope.API_KEY}
    numbers = [int(_subject(one.key) or 0) for one in found if _limit(one.key) in by_key]
    known = await limits.key_names(parts.pool, numbers) if numbers else {}
    return {str(number): name for number, name in known.items()}


def _view(limit: Limit, found: list[Use], names: dict[str, str]) -> LimitView:
    return LimitView(
        name=limit.name,
        rate=str(limit.rate),
        count=limit.rate.count,
        seconds=limit.rate.period / 1_000_000,
        scope=limit.scope,
        over=limit.over,
        account=limit.account,
        channel=limit.channel,
        category=limit.category,
        template=limit.template,
        api_key=limit.api_key,
        uses=[_use(limit, one, names) for one in found if _limit(one.key) == limit.name],
    )


def _use(limit: Limit, use: Use, names: dict[str, str]) -> UseView:
    subject = _subject(use.key)
    if limit.scope is Scope.API_KEY and subject is not None:
        subject = names.get(subject, subject)
    next_at = None if use.next_at is None else _moment(use.next_at)
    return UseView(subject=subject, used=use.used, next_at=next_at)


def _limit(key: str) -> str:
    return key.partition(":")[0]


def _subject(key: str) -> str | None:
    return key.partition(":")[2] or None


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
