"""Users' preferences: what they choose to be told, where and when; and who changed that."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter
from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StrictBool,
    field_validator,
    model_serializer,
)

from tidings.api.authentication import CanEditUsers, CanRead
from tidings.api.bodies import StrictJson
from tidings.api.paging import Cursor, Limit
from tidings.api.parts import Parts, Wired
from tidings.api.problems import Code, FieldError, Problem
from tidings.api.responses import problems
from tidings.api.times import ClockTime, HoursView, Weekday, clock_time, shown
from tidings.domain.categories import Cadence
from tidings.domain.channels import Channel
from tidings.domain.hours import WEEKDAYS
from tidings.domain.preferences import DigestTime, Preferences
from tidings.domain.quiet_hours import QuietHours
from tidings.intake.request import Name, TemplateId, Wire
from tidings.store import categories, preferences
from tidings.store.api_keys import ApiKey
from tidings.store.preferences import Author, Source

router = APIRouter(prefix="/users/{user_id}/preferences", tags=["users"], route_class=StrictJson)

CategoryId = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
Choices = dict[Channel, StrictBool]
SomeChoices = dict[Channel, StrictBool | None]
_CLOSED: dict[str, JsonValue] = {"additionalProperties": False}
_Many = Field(max_length=500, json_schema_extra=_CLOSED)


class QuietHoursView(HoursView):
    """By the clock of the user: what would disturb them waits for the end."""

    @field_validator("end")
    @classmethod
    def _ends(cls, value: str, info: Any) -> str:
        if value == info.data.get("begin"):
            raise ValueError("must differ from `from`: such quiet hours would never end")
        return value


class DigestTimeView(Wire):
    """When daily and weekly digests come, by the clock of the user."""

    at: ClockTime = "09:00"
    weekday: Weekday = "monday"


class PreferencesView(Wire):
    """channels: the choice for a channel in general; categories and templates: for one of them. What is not named
    is as the category has it. digests: how often, by category. tracking: false where opens and clicks are not to be
    tracked."""

    channels: Choices = Field(default_factory=dict)
    categories: Annotated[dict[CategoryId, Choices], _Many] = Field(default_factory=dict)
    templates: Annotated[dict[TemplateId, Choices], _Many] = Field(default_factory=dict)
    quiet_hours: QuietHoursView | None = None
    digests: Annotated[dict[CategoryId, Cadence], _Many] = Field(default_factory=dict)
    digest_time: DigestTimeView | None = None
    tracking: StrictBool | None = None

    @model_serializer(mode="wrap")
    def _without_what_was_not_chosen(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        whole = serialize(self)
        return {
            name: one for name, one in whole.items() if one or one is False or name in _ALWAYS_SHOWN
        }


_ALWAYS_SHOWN = frozenset({"channels", "categories"})


class PreferencesPatch(Wire):
    """What is named is changed, and null takes a choice back (RFC 7396); the rest stays."""

    channels: SomeChoices | None = None
    categories: Annotated[dict[CategoryId, SomeChoices | None] | None, _Many] = None
    templates: Annotated[dict[TemplateId, SomeChoices | None] | None, _Many] = None
    quiet_hours: QuietHoursView | None = None
    digests: Annotated[dict[CategoryId, Cadence | None] | None, _Many] = None
    digest_time: DigestTimeView | None = None
    tracking: StrictBool | None = None


class ChangedField(BaseModel):
    """path: as categories.news.email. before, after: null where nothing was or is chosen."""

    path: str
    before: JsonValue
    after: JsonValue


class ChangeView(BaseModel):
    """source: the API, with the key it was; the preference page; or an unsubscribe link."""

    id: UUID
    at: datetime
    source: Source
    api_key_id: UUID | None
    changes: list[ChangedField]


class ChangePage(BaseModel):
    """next_cursor: for the page behind this one; null on the last."""

    changes: list[ChangeView]
    next_cursor: UUID | None


@router.get("", responses=problems())
async def read_preferences(user_id: Name, parts: Wired, _: CanRead) -> PreferencesView:
    """What the user wants; empty for one who never chose."""
    return _view(await preferences.fetch(parts.pool, user_id))


@router.put("", responses=problems(413))
async def write_preferences(
    user_id: Name, body: PreferencesView, parts: Wired, key: CanEditUsers
) -> PreferencesView:
    """Replace the user's choices."""
    chosen = _read(body)
    await _check_mandatory(parts, chosen)
    return await _change(parts, key, user_id, chosen)


@router.patch("", responses=problems(413))
async def patch_preferences(
    user_id: Name, body: PreferencesPatch, parts: Wired, key: CanEditUsers
) -> PreferencesView:
    """Change some of the user's choices; null takes one back."""
    await _check_mandatory(parts, _patched(Preferences(), body))
    return await _change(parts, key, user_id, body)


@router.get("/history", responses=problems())
async def history(
    user_id: Name, parts: Wired, _: CanRead, cursor: Cursor = None, limit: Limit = 50
) -> ChangePage:
    """Who changed the user's choices, the newest first."""
    rows = await preferences.history(parts.pool, user_id, before=cursor, limit=limit)
    return ChangePage(
        changes=[
            ChangeView(
                id=row.id,
                at=row.at,
                source=row.source,
                api_key_id=row.api_key_id,
                changes=[ChangedField.model_validate(one) for one in row.changes],
            )
            for row in rows
        ],
        next_cursor=rows[-1].id if len(rows) == limit else None,
    )


async def _change(
    parts: Parts, key: ApiKey, user_id: str, chosen: Preferences | PreferencesPatch
) -> PreferencesView:
    def edit(before: Preferences) -> Preferences:
        return chosen if isinstance(chosen, Preferences) else _patched(before, chosen)

    async with parts.pool.acquire() as connection:
        after = await preferences.change(connection, user_id, edit, Author("api", key.id))
    return _view(after)


async def _check_mandatory(parts: Parts, chosen: Preferences) -> None:
    """Raises Problem for a category that cannot be turned off and would be."""
    turned_off = sorted(
        category_id for category_id, one in chosen.categories.items() if not all(one.values())
    )
    if not turned_off:
        return
    mandatory = await categories.mandatory_among(parts.pool, turned_off)
    errors = [
        FieldError(path=f"categories.{one}", message="is mandatory and cannot be turned off")
        for one in mandatory
    ]
    if errors:
        detail = f"{errors[0].path}: {errors[0].message}"
        raise Problem(Code.INVALID_REQUEST, detail, errors)


def _view(found: Preferences) -> PreferencesView:
    when = found.digest_time
    return PreferencesView(
        channels=dict(found.channels),
        categories={name: dict(one) for name, one in found.categories.items()},
        templates={name: dict(one) for name, one in found.templates.items()},
        quiet_hours=QuietHoursView.of(found.quiet_hours),
        digests=dict(found.digests),
        digest_time=None
        if when == DigestTime()
        else DigestTimeView.model_validate(
            {"at": shown(when.at), "weekday": WEEKDAYS[when.weekday]}
        ),
        tracking=found.tracking,
    )


def _read(body: PreferencesView) -> Preferences:
    return Preferences(
        body.channels,
        body.categories,
        body.templates,
        body.quiet_hours.read(QuietHours) if body.quiet_hours else None,
        body.digests,
        _digest_time(body.digest_time),
        body.tracking,
    )


def _digest_time(body: DigestTimeView | None) -> DigestTime:
    if body is None:
        return DigestTime()
    return DigestTime(clock_time(body.at), WEEKDAYS.index(body.weekday))


def _patched(before: Preferences, patch: PreferencesPatch) -> Preferences:
    changed: dict[str, Any] = {
        name: _merged(getattr(before, name), getattr(patch, name))
        for name in patch.model_fields_set & {"channels", "digests"}
    }
    for name in patch.model_fields_set & {"categories", "templates"}:
        named: Mapping[str, SomeChoices | None] = getattr(patch, name) or {}
        were: Mapping[str, Mapping[Channel, bool]] = getattr(before, name)
        merged = {one: _merged(were.get(one, {}), choices) for one, choices in named.items()}
        kept = {} if getattr(patch, name) is None else were
        changed[name] = {one: choices for one, choices in {**kept, **merged}.items() if choices}
    if "quiet_hours" in patch.model_fields_set:
        changed["quiet_hours"] = patch.quiet_hours.read(QuietHours) if patch.quiet_hours else None
    if "digest_time" in patch.model_fields_set:
        changed["digest_time"] = _digest_time(patch.digest_time)
    if "tracking" in patch.model_fields_set:
        changed["tracking"] = patch.tracking
    return replace(before, **changed)


Key = TypeVar("Key")
Value = TypeVar("Value")


def _merged(
    before: Mapping[Key, Value], patch: Mapping[Key, Value | None] | None
) -> dict[Key, Value]:
    """RFC 7396: null takes away what is named; null for all of it takes away all."""
    if patch is None:
        return {}
    both: dict[Key, Value | None] = {**before, **patch}
    return {key: value for key, value in both.items() if value is not None}
