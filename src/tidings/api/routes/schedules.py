"""Recurring schedules: a notification that is sent again and again."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import uuid_utils.compat as uuids
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field, model_validator

from tidings.api.authentication import CanRead, CanSend
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, Problem, of_refusal
from tidings.api.responses import problems
from tidings.api.sizes import check_files
from tidings.domain.schedules import CatchUp, Recurrence, WrongScheduleError
from tidings.intake.attaching import files_of
from tidings.intake.refusals import misfit
from tidings.intake.request import Name, RepeatableRequest, Wire, Zone
from tidings.intake.scheduling import UNREADABLE
from tidings.store import schedules
from tidings.store.api_keys import ApiKey, Role
from tidings.store.database import borrow
from tidings.store.schedules import Schedule, ScheduleState

router = APIRouter(prefix="/schedules", tags=["schedules"], route_class=StrictJson)


def _cron(value: str) -> str:
    try:
        Recurrence(value, ZoneInfo("UTC"))
    except WrongScheduleError as error:
        raise ValueError(str(error)) from None
    return value


Cron = Annotated[
    str,
    Field(min_length=9, max_length=255, json_schema_extra={"format": "cron"}),
    AfterValidator(_cron),
]


class NewSchedule(Wire):
    """cron: five fields, as in crontab(5). timezone: by whose clock. catch_up: what happens to runs missed in a
    downtime: none of them, the latest, or each. request: what POST /notifications/send takes, without what belongs to
    one notification alone: send_at, expires_at and idempotency_key."""

    name: Name | None = None
    cron: Cron
    timezone: Zone = "UTC"
    catch_up: CatchUp = "one"
    request: RepeatableRequest


class ScheduleChange(Wire):
    """What is not named stays. After any change the next run is the first behind now."""

    state: Literal["active", "paused"] | None = None
    name: Name | None = None
    cron: Cron | None = None
    timezone: Zone | None = None
    catch_up: CatchUp | None = None
    request: RepeatableRequest | None = None

    @model_validator(mode="after")
    def _something(self) -> "ScheduleChange":
        if not self.model_fields_set:
            raise ValueError("nothing to change is named")
        return self


class ScheduleView(BaseModel):
    """runs: that made a notification. last_problem: why the last run made none. Its data and addresses are kept
    sealed and not shown. template_id is null where its request cannot be read with the keys that there are: such a
    schedule sends nothing, until it is given another request."""

    schedule_id: UUID
    name: str | None
    cron: str
    timezone: str
    catch_up: CatchUp
    state: ScheduleState
    template_id: str | None
    next_run: datetime | None
    runs: int
    last_run: datetime | None
    last_notification_id: UUID | None
    last_problem: str | None


class SchedulePage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    schedules: list[ScheduleView]
    next_cursor: UUID | None


@router.post("", status_code=201, responses=problems(413))
async def create(body: NewSchedule, parts: Wired, key: CanSend) -> ScheduleView:
    """Send it at every time that the schedule names."""
    await _fits(parts, body.request)
    fresh = Schedule(
        id=uuids.uuid7(),
        api_key_id=key.id,
        name=body.name,
        cron=body.cron,
        timezone=body.timezone,
        catch_up=body.catch_up,
        state=ScheduleState.ACTIVE,
        request=_document(body.request),
        next_run=None,
    ).after(_now())
    async with borrow(parts.pool) as connection:
        await schedules.create(connection, fresh, parts.keyring)
    parts.schedules_changed()
    return _view(fresh)


@router.get("", responses=problems())
async def listed(
    parts: Wired, _: CanRead, cursor: Cursor = None, limit: Limit = 50
) -> SchedulePage:
    """Schedules, the newest first; those that were cancelled are gone."""
    rows = await schedules.listed(parts.pool, parts.keyring, before=cursor, limit=limit)
    return SchedulePage(
        schedules=[_view(row) for row in rows],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


@router.get("/{schedule_id}", responses=problems(404))
async def read(schedule_id: UUID, parts: Wired, _: CanRead) -> ScheduleView:
    """A schedule, its next run, and what became of its last."""
    found = await schedules.find(parts.pool, schedule_id, parts.keyring)
    if found is None or found.state is ScheduleState.CANCELLED:
        raise _not_found()
    return _view(found)


@router.patch("/{schedule_id}", responses=problems(404, 413))
async def change(
    schedule_id: UUID, body: ScheduleChange, parts: Wired, key: CanSend
) -> ScheduleView:
    """Change, pause or resume it. Runs that fell into a pause are not made up for."""
    if body.request is not None:
        await _fits(parts, body.request)
    changes: dict[str, Any] = {
        name: value
        for name in ("name", "cron", "timezone", "catch_up")
        if (value := getattr(body, name)) is not None
    }
    if body.state is not None:
        changes["state"] = ScheduleState(body.state)
    if body.request is not None:
        changes["request"] = _document(body.request)
    return _view(await _changed(parts, key, schedule_id, changes))


@router.delete("/{schedule_id}", status_code=204, response_class=Response, responses=problems(404))
async def cancel(schedule_id: UUID, parts: Wired, key: CanSend) -> None:
    """No further runs; what they made already goes on."""
    await _changed(parts, key, schedule_id, {"state": ScheduleState.CANCELLED})


async def _changed(
    parts: Parts, key: ApiKey, schedule_id: UUID, changes: dict[str, Any]
) -> Schedule:
    async with borrow(parts.pool) as connection, connection.transaction():
        found = await schedules.find(connection, schedule_id, parts.keyring, lock=True)
        if found is None or found.state is ScheduleState.CANCELLED:
            raise _not_found()
        if found.api_key_id != key.id and key.role is not Role.ADMIN:
            raise Problem(Code.FORBIDDEN, "It was made with another API key.")
        fields = {name: getattr(found, name) for name in Schedule.__dataclass_fields__}
        changed = Schedule(**{**fields, **changes}).after(_now())
        await schedules.change(connection, changed, parts.keyring)
    parts.schedules_changed()
    return changed


async def _fits(parts: Parts, request: RepeatableRequest) -> None:
    """Raises Problem where each run would be refused for its files or its data. A template can be made, or changed,
    later."""
    check_files(files_of(request.email), parts.settings)
    template = await parts.templates.find(request.template_id)
    if template and template.contract and (found := template.contract.mismatches(request.data)):
        raise of_refusal(misfit(found), within="request.")


def _document(request: RepeatableRequest) -> dict[str, Any]:
    return request.model_dump(mode="json", exclude_unset=True)


def _view(one: Schedule) -> ScheduleView:
    return ScheduleView(
        schedule_id=one.id,
        name=one.name,
        cron=one.cron,
        timezone=one.timezone,
        catch_up=one.catch_up,
        state=one.state,
        template_id=one.request and one.request["template_id"],
        next_run=one.next_run if one.state is ScheduleState.ACTIVE else None,
        runs=one.runs,
        last_run=one.last_run,
        last_notification_id=one.last_notification,
        last_problem=UNREADABLE if one.request is None else one.last_problem,
    )


def _not_found() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such schedule.")


def _now() -> datetime:
    return datetime.now(UTC)
