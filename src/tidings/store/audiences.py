"""Audiences: who is reached by topics, segments, or everyone; each once, in the order of the user ids.

Filters become SQL here. What a filter says, names of attributes included, is bound as a parameter; the text of
a statement is made of our own constants alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidings.domain.filters import (
    BUILT_IN,
    All,
    AnyOf,
    AttributeType,
    Condition,
    Filter,
    Not,
    Value,
    as_text,
)
from tidings.store.database import Connection

Bind = Callable[[object], str]
"""Takes a value; its placeholder."""

FEW = 20_000
"""Up to so many, it is quicker to find all of them by an index for every page than to go through all users."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Users who are in at least one of these. now: what relative dates count from."""

    now: datetime
    everyone: bool = False
    topics: Sequence[str] = ()
    filters: Sequence[Filter] = ()


async def count(connection: Connection, audience: Audience) -> int:
    """How many users. Reads all of them where no index helps: about a microsecond each."""
    arguments, bind = _binder()
    arms = [
        f"SELECT {column} AS user_id FROM {source} WHERE {condition}"
        for column, source, condition in _arms(audience, bind)
    ]
    found: int = await connection.fetchval(
        f"SELECT count(*) FROM ({' UNION '.join(arms)}) AS audience", *arguments, timeout=600
    )
    return found


async def page(
    connection: Connection, audience: Audience, *, after: str, limit: int, few: bool
) -> list[str]:
    """The next user ids behind `after`. few: the audience is at most FEW."""
    arguments, bind = _binder()
    behind, most = bind(after), bind(limit)
    arms = [
        f"""(SELECT {column} AS user_id FROM {source} WHERE {column} > {behind} AND {condition}
             ORDER BY {column} LIMIT {most})"""
        for column, source, condition in _arms(audience, bind)
    ]
    async with connection.transaction(readonly=True):
        if not few:
            # Otherwise all of a large segment may be collected and sorted anew for every page.
            await connection.execute("SET LOCAL enable_bitmapscan = off")
        rows = await connection.fetch(
            f"SELECT user_id FROM ({' UNION '.join(arms)}) AS audience ORDER BY user_id LIMIT {most}",
            *arguments,
        )
    return [row["user_id"] for row in rows]


def _binder() -> tuple[list[object], Bind]:
    arguments: list[object] = []

    def bind(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    return arguments, bind


def _arms(audience: Audience, bind: Bind) -> list[tuple[str, str, str]]:
    """For each part: the column with the user's id, the table, and the condition."""
    if audience.everyone:
        return [("u.id", "users u", "true")]
    topics = [
        ("s.user_id", "subscriptions s", f"s.topic_id = {bind(topic)}") for topic in audience.topics
    ]
    segments = [
        ("u.id", "users u", f"({condition(one, bind, audience.now)})") for one in audience.filters
    ]
    return topics + segments or [("u.id", "users u", "false")]


def condition(filter: Filter, bind: Bind, now: datetime) -> str:
    """An expression on the row `u` of users: true or false, and never null."""
    if isinstance(filter, Condition):
        return f"({_leaf(filter, bind, now)}) IS TRUE"
    if isinstance(filter, Not):
        return f"NOT ({condition(filter.part, bind, now)})"
    parts = [f"({condition(part, bind, now)})" for part in filter.parts]
    if isinstance(filter, All):
        return " AND ".join(parts) or "true"
    assert isinstance(filter, AnyOf)
    return " OR ".join(parts) or "false"


def _leaf(one: Condition, bind: Bind, now: datetime) -> str:
    if one.operator == "exists":
        present = _present(one, bind)
        return present if one.value else f"NOT ({present})"
    if one.attribute == "topics":
        return f"""EXISTS (SELECT FROM subscriptions s
                   WHERE s.user_id = u.id AND s.topic_id = {bind(one.value)}::text)"""
    if one.type is AttributeType.DATE:
        return _dated(one, bind, now)
    if one.attribute in BUILT_IN:
        return _text(f"u.{one.attribute}", one.operator, one.value, bind)
    return _declared(one, bind)


def _present(one: Condition, bind: Bind) -> str:
    if one.attribute == "topics":
        return "EXISTS (SELECT FROM subscriptions s WHERE s.user_id = u.id)"
    if one.attribute in BUILT_IN:
        return f"u.{one.attribute} IS NOT NULL"
    return f"u.declared ? {bind(one.attribute)}::text"


def _dated(one: Condition, bind: Bind, now: datetime) -> str:
    assert isinstance(one.value, datetime | timedelta)
    moment = now + one.value if isinstance(one.value, timedelta) else one.value
    sign = "<" if one.operator == "before" else ">"
    if one.attribute in BUILT_IN:
        return f"u.{one.attribute} {sign} {bind(moment)}::timestamptz"
    name = bind(one.attribute)
    return f'(u.declared ->> {name}::text) COLLATE "C" {sign} {bind(as_text(moment))}::text'


def _text(column: str, operator: str, value: Value, bind: Bind) -> str:
    if operator == "is":
        return f"{column} = {bind(value)}::text"
    if operator == "in":
        assert isinstance(value, tuple)
        return f"{column} = ANY ({bind(list(value))}::text[])"
    if operator == "prefix":
        return f"starts_with({column}, {bind(value)}::text)"
    return f"position({bind(value)}::text in {column}) > 0"


_SIGNS = {"less": "<", "at_most": "<=", "greater": ">", "at_least": ">="}


def _declared(one: Condition, bind: Bind) -> str:
    if one.operator == "is":
        return f"u.declared @> {bind({one.attribute: one.value})}::jsonb"
    if one.type is AttributeType.STRINGS:
        return f"u.declared @> {bind({one.attribute: [one.value]})}::jsonb"
    if one.operator in _SIGNS:
        # As JSON, whose numbers are compared as such; a cast would fail for what is no number.
        value = f"u.declared -> {bind(one.attribute)}::text"
        return f"""jsonb_typeof({value}) = 'number'
                   AND ({value}) {_SIGNS[one.operator]} {bind(one.value)}::jsonb"""
    if one.operator == "in" and one.type is AttributeType.NUMBER:
        assert isinstance(one.value, tuple)
        return (
            f"(u.declared -> {bind(one.attribute)}::text) = ANY ({bind(list(one.value))}::jsonb[])"
        )
    return _text(f"(u.declared ->> {bind(one.attribute)}::text)", one.operator, one.value, bind)
