"""Accounts: which there are, and whether they are held back, since when and why."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidings.api.authentication import CanManageAccounts, CanRead
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.domain.breaker import Cause, State
from tidings.domain.channels import Channel
from tidings.domain.provider import Account
from tidings.store import account_health
from tidings.store.account_health import AccountEvent, Shared, moment

router = APIRouter(prefix="/accounts", tags=["accounts"])

_RECENT = 5  # events shown with each account


class AccountEventView(BaseModel):
    """detail: what was counted, such as "12 of 40 failed, 3 slow", or who reset it: the name of the API key and its
    id."""

    event_id: UUID
    account: str
    at: datetime
    state_from: State
    state_to: State
    reason: str
    detail: str


class AccountView(BaseModel):
    """breaker: whether it has one. since, reason: of the state; null while it has never changed. probe_at: when it is
    tried again, while it is open. allowance: calls per second over all workers while the provider throttles, null for
    no limit. paused_until: the provider asked not to be called before."""

    name: str
    provider: str
    channels: list[Channel]
    order: int
    weight: float
    categories: list[str]
    countries: list[str]
    sender_domains: list[str]
    breaker: bool
    state: State
    since: datetime | None
    reason: Cause | None
    probe_at: datetime | None
    allowance: float | None
    paused_until: datetime | None
    events: list[AccountEventView]


class AccountsView(BaseModel):
    accounts: list[AccountView]


class AccountEventPage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    events: list[AccountEventView]
    next_cursor: UUID | None


@router.get("", responses=problems())
async def listed(parts: Wired, _: CanRead) -> AccountsView:
    """The accounts and their health, each with its newest events"""
    shared = {one.account: one for one in await account_health.read(parts.pool)}
    events = await account_health.events(parts.pool, _RECENT)
    return AccountsView(
        accounts=[_view(parts, one, shared.get(one.name), events) for one in parts.accounts]
    )


@router.get("/events", responses=problems())
async def events(
    parts: Wired,
    _: CanRead,
    cursor: Cursor = None,
    limit: Limit = 50,
    account: Annotated[
        str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="Only of this one.")
    ] = None,
) -> AccountEventPage:
    """Changes of the accounts' breakers, the newest first"""
    found = await account_health.events_before(
        parts.pool, account=account, before=cursor, limit=limit
    )
    return AccountEventPage(
        events=[_event(one) for one in found],
        next_cursor=found[-1].id if len(found) == limit else None,
    )


@router.post("/{name}/reset", responses=problems(404))
async def reset(name: str, parts: Wired, key: CanManageAccounts) -> AccountView:
    """Close an account's breaker by hand, and lift what slows it down; the event names the API key"""
    account = next((one for one in parts.accounts if one.name == name), None)
    if account is None:
        raise Problem(Code.NOT_FOUND, "There is no such account.")
    async with parts.pool.acquire() as connection:
        await account_health.reset(connection, name, f"{key.name} ({key.id})")
        shared = {one.account: one for one in await account_health.read(connection)}
        newest = await account_health.events(connection, _RECENT)
    return _view(parts, account, shared.get(name), newest)


def _view(
    parts: Parts, account: Account, shared: Shared | None, events: list[AccountEvent]
) -> AccountView:
    breaker = shared.breaker if shared else None
    pace = shared.pace if shared else None
    paused = shared is not None and shared.pace.paused_until > shared.now
    return AccountView(
        name=account.name,
        provider=account.provider,
        channels=list(account.channels),
        order=account.order,
        weight=account.weight,
        categories=list(account.categories),
        countries=list(account.countries),
        sender_domains=list(account.sender_domains),
        breaker=account.name in parts.breakers,
        state=breaker.state if breaker else State.CLOSED,
        since=moment(breaker.since) if breaker and breaker.cause else None,
        reason=breaker.cause if breaker else None,
        probe_at=moment(breaker.probe_at) if breaker else None,
        allowance=pace.rate if pace else None,
        paused_until=moment(pace.paused_until) if pace and paused else None,
        events=[_event(one) for one in events if one.account == account.name],
    )


def _event(one: AccountEvent) -> AccountEventView:
    return AccountEventView(
        event_id=one.id,
        account=one.account,
        at=one.at,
        state_from=one.state_from,
        state_to=one.state_to,
        reason=one.reason,
        detail=one.detail,
    )
