"""Filters as SQL, against a plain evaluation in Python of what the documentation says of them."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.domain.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    AttributeType,
    WrongFilterError,
    declared_values,
    read,
)
from tidings.store import audiences
from tidings.store.audiences import Audience
from tidings.store.database import open_pool
from tidings.store.embedded import EmbeddedServer

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TYPES = {
    "plan": AttributeType.STRING,
    "age": AttributeType.NUMBER,
    "active": AttributeType.BOOLEAN,
    "signed_up": AttributeType.DATE,
    "tags": AttributeType.STRINGS,
    # A name is a parameter, too.
    'it\'s "$1" ; --': AttributeType.STRING,
}
TOPICS = ["north", "south"]


@dataclass
class Someone:
    attributes: dict[str, Any]
    locale: str | None
    timezone: str | None
    created_at: datetime
    topics: set[str] = field(default_factory=set)


# ---------------------------------------------------------------- the evaluation, written apart


def fulfils(filter: Any, one: Someone) -> bool:
    if "all" in filter:
        return all(fulfils(part, one) for part in filter["all"])
    if "any" in filter:
        return any(fulfils(part, one) for part in filter["any"])
    if "none" in filter:
        return not any(fulfils(part, one) for part in filter["none"])
    if "not" in filter:
        return not fulfils(filter["not"], one)
    ((operator, wanted),) = ((key, value) for key, value in filter.items() if key != "attribute")
    has = value_of(filter["attribute"], one)
    if operator == "exists":
        return bool((has is not None) == wanted)
    return compare(operator, has, wanted) if has is not None else False


def value_of(name: str, one: Someone) -> Any:
    if name == "topics":
        return sorted(one.topics) or None
    if name in {"locale", "timezone", "created_at"}:
        return getattr(one, name)
    value = one.attributes.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    fits = {
        AttributeType.STRING: isinstance(value, str),
        AttributeType.NUMBER: is_number,
        AttributeType.BOOLEAN: isinstance(value, bool),
        AttributeType.DATE: isinstance(value, str) and moment(value) is not None,
        AttributeType.STRINGS: is_texts,
    }
    if not fits[TYPES[name]]:
        return None
    return moment(str(value)) if TYPES[name] is AttributeType.DATE else value


def compare(operator: str, has: Any, wanted: Any) -> bool:
    match operator:
        case "is":
            return bool(has == wanted)
        case "in":
            return has in wanted
        case "prefix":
            return bool(has.startswith(wanted))
        case "contains":
            return wanted in has
        case "less":
            return bool(has < wanted)
        case "at_most":
            return bool(has <= wanted)
        case "greater":
            return bool(has > wanted)
        case "at_least":
            return bool(has >= wanted)
        case "before":
            return bool(has < point(wanted))
        case "after":
            return bool(has > point(wanted))
    raise AssertionError(operator)


def point(wanted: Any) -> datetime:
    if isinstance(wanted, str):
        found = moment(wanted)
        assert found is not None
        return found
    ((unit, count),) = wanted.items()
    length = timedelta(days=count) if unit.startswith("days") else timedelta(hours=count)
    return NOW - length if unit.endswith("ago") else NOW + length


def moment(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# ---------------------------------------------------------------- users and filters, at random

# Few values, so that they meet; with what has a meaning in SQL, in patterns and in other languages.
WORDS = st.sampled_from(
    ["", "pro", "pro_", "free", "%", "p", "ß", "SS", "'", "\\", "éa", "$1", "null"]
)
NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 1.0, 0.1, 2.5, -0.0, 1e300, 2**53]), st.integers(-3, 3)
)
DATES = st.sampled_from(
    [
        "2026-05-01",
        "2026-05-01T12:00:00Z",
        "2026-05-01T14:00:00+02:00",
        "2026-04-30T23:59:59.999999-01:00",
        "2026-05-02",
        "2025-12-31T00:00:00Z",
        "0999-01-01",
    ]
)
RELATIVE = st.builds(
    lambda unit, count: {unit: count},
    st.sampled_from(["days_ago", "hours_ago", "days_ahead", "hours_ahead"]),
    st.integers(0, 2),
)
TEXTS = ["locale", "timezone", "plan", *(name for name in TYPES if "$" in name)]
VALUES = st.one_of(WORDS, NUMBERS, st.booleans(), DATES, st.none(), st.lists(WORDS, max_size=3))


def asking(names: list[str], operator: str, values: st.SearchStrategy[Any]) -> Any:
    return st.builds(
        lambda name, value: {"attribute": name, operator: value}, st.sampled_from(names), values
    )


CONDITIONS = st.one_of(
    asking([*TYPES, "locale", "topics", "created_at"], "exists", st.booleans()),
    *(asking(TEXTS, operator, WORDS) for operator in ("is", "prefix", "contains")),
    asking(TEXTS, "in", st.lists(WORDS, min_size=1, max_size=3)),
    *(
        asking(["age"], operator, NUMBERS)
        for operator in ("is", "less", "at_most", "greater", "at_least")
    ),
    asking(["age"], "in", st.lists(NUMBERS, min_size=1, max_size=3)),
    asking(["active"], "is", st.booleans()),
    *(
        asking(["signed_up", "created_at"], operator, st.one_of(DATES, RELATIVE))
        for operator in ("before", "after")
    ),
    asking(["tags"], "contains", WORDS),
    asking(["topics"], "contains", st.sampled_from(TOPICS)),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda parts: st.one_of(
        *(
            st.builds(
                lambda several, word=word: {word: several}, st.lists(parts, min_size=1, max_size=3)
            )
            for word in ("all", "any", "none")
        ),
        st.builds(lambda part: {"not": part}, parts),
    ),
    max_leaves=6,
)
TYPED = {
    "plan": WORDS,
    "age": NUMBERS,
    "active": st.booleans(),
    "signed_up": DATES,
    "tags": st.lists(WORDS, max_size=3),
    'it\'s "$1" ; --': WORDS,
}
PEOPLE = st.lists(
    st.builds(
        Someone,
        attributes=st.one_of(
            st.fixed_dictionaries({}, optional=TYPED),
            st.dictionaries(st.sampled_from(list(TYPES)), VALUES),
        ),
        locale=st.none() | WORDS,
        timezone=st.none() | WORDS,
        created_at=DATES.map(moment).filter(bool),
        topics=st.sets(st.sampled_from(TOPICS)),
    ),
    min_size=1,
    max_size=6,
)


# ---------------------------------------------------------------- the database


@dataclass
class Desk:
    loop: asyncio.AbstractEventLoop
    connection: Any

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)


@pytest.fixture(scope="module")
def desk(server: EmbeddedServer) -> Iterator[Desk]:
    """A connection on a database with topics; what a test writes is taken back."""
    loop = asyncio.new_event_loop()
    name = "test_audiences"

    async def opened() -> tuple[Any, Any, Any]:
        admin = await asyncpg.connect(server.url.replace("/tidings?", "/postgres?"))
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE tidings')
        # As the workers have it.
        pool = await open_pool(
            server.url.replace("/tidings?", f"/{name}?"), size=1, name="test", hot=True
        )
        connection = await pool.acquire()
        await connection.execute(
            "INSERT INTO topics (id, name) SELECT t, t FROM unnest($1::text[]) t", TOPICS
        )
        return admin, pool, connection

    admin, pool, connection = loop.run_until_complete(opened())
    try:
        yield Desk(loop, connection)
    finally:

        async def closed() -> None:
            await pool.release(connection)
            await pool.close()
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            await admin.close()

        loop.run_until_complete(closed())
        loop.close()


async def store(connection: Any, people: list[Someone]) -> None:
    ids = [f"user-{number}" for number in range(len(people))]
    await connection.execute(
        """INSERT INTO users (id, sealed, locale, timezone, created_at, declared)
           SELECT id, '', locale, timezone, created_at, declared FROM unnest($1::text[], $2::text[], $3::text[],
             $4::timestamptz[], $5::jsonb[]) AS w (id, locale, timezone, created_at, declared)""",
        ids,
        [one.locale for one in people],
        [one.timezone for one in people],
        [one.created_at for one in people],
        [declared_values(one.attributes, TYPES) for one in people],
    )
    await connection.executemany(
        "INSERT INTO subscriptions (topic_id, user_id) VALUES ($1, $2)",
        [
            (topic, user_id)
            for user_id, one in zip(ids, people, strict=True)
            for topic in one.topics
        ],
    )


async def chosen(connection: Any, people: list[Someone], audience: Audience) -> list[str]:
    """Page by page, one user on each; the count must say the same."""
    trial = connection.transaction()
    await trial.start()
    try:
        await store(connection, people)
        found: list[str] = []
        for few in (True, False):
            found = []
            while page := await audiences.page(
                connection, audience, after=found[-1] if found else "", limit=2, few=few
            ):
                found += page
                assert len(found) <= len(people)
            assert await audiences.count(connection, audience) == len(found)
        return found
    finally:
        await trial.rollback()


@settings(max_examples=400)
@given(filter=FILTERS, people=PEOPLE)
def test_sql_chooses_as_the_documentation_says(
    desk: Desk, filter: Any, people: list[Someone]
) -> None:
    audience = Audience(NOW, filters=[read(filter, TYPES)])
    found = desk.run(chosen(desk.connection, people, audience))
    assert found == [f"user-{number}" for number, one in enumerate(people) if fulfils(filter, one)]


@settings(max_examples=100)
@given(
    filters=st.lists(FILTERS, max_size=2),
    topics=st.lists(st.sampled_from(TOPICS), unique=True),
    people=PEOPLE,
)
def test_who_is_in_twice_is_there_once(
    desk: Desk, filters: list[Any], topics: list[str], people: list[Someone]
) -> None:
    audience = Audience(NOW, topics=topics, filters=[read(one, TYPES) for one in filters])
    found = desk.run(chosen(desk.connection, people, audience))
    assert found == [
        f"user-{number}"
        for number, one in enumerate(people)
        if one.topics & set(topics) or any(fulfils(filter, one) for filter in filters)
    ]


def test_everyone(desk: Desk) -> None:
    people = [Someone({}, None, None, NOW) for _ in range(5)]
    found = desk.run(chosen(desk.connection, people, Audience(NOW, everyone=True)))
    assert found == [f"user-{number}" for number in range(5)]


# ---------------------------------------------------------------- what is refused


def nested(levels: int) -> Any:
    filter: Any = {"attribute": "plan", "is": "pro"}
    for _ in range(levels - 1):
        filter = {"not": filter}
    return filter


MANY: Any = [{"attribute": "age", "is": 1}] * (MAX_CONDITIONS // 2)


@pytest.mark.parametrize(
    ("filter", "paths"),
    [
        ({}, [""]),
        ([], [""]),
        (None, [""]),
        ({"all": []}, ["all"]),
        ({"all": {}}, ["all"]),
        ({"all": [1, {"none": [{}]}]}, ["all.0", "all.1.none.0"]),
        ({"all": [nested(1)], "any": [nested(1)]}, [""]),
        ({"not": [nested(1)]}, ["not"]),
        ({"attribute": "plan"}, [""]),
        ({"attribute": "plan", "is": "pro", "in": ["pro"]}, [""]),
        ({"attribute": "plan", "less": 1}, [""]),
        ({"attribute": "plan", "is": 1}, ["is"]),
        ({"attribute": "plan", "is": "\0"}, ["is"]),
        ({"attribute": "plan", "is": "x" * 1_001}, ["is"]),
        ({"attribute": "plan", "in": []}, ["in"]),
        ({"attribute": "plan", "in": ["pro", 1]}, ["in"]),
        ({"attribute": "plan", "in": ["pro"] * 1_001}, ["in"]),
        ({"attribute": "plan", "exists": 1}, ["exists"]),
        ({"attribute": "age", "less": True}, ["less"]),
        ({"attribute": "age", "less": float("nan")}, ["less"]),
        ({"attribute": "age", "less": "1"}, ["less"]),
        ({"attribute": "signed_up", "before": "yesterday"}, ["before"]),
        ({"attribute": "signed_up", "before": "2026-02-30"}, ["before"]),
        ({"attribute": "signed_up", "before": {"days_ago": -1}}, ["before"]),
        ({"attribute": "signed_up", "before": {"days_ago": True}}, ["before"]),
        ({"attribute": "signed_up", "before": {"days_ago": 36_501}}, ["before"]),
        ({"attribute": "signed_up", "before": {"years_ago": 1}}, ["before"]),
        ({"attribute": "nope", "is": "x"}, ["attribute"]),
        ({"attribute": ["plan"], "is": "x"}, ["attribute"]),
        (
            {"any": [{"attribute": "nope", "is": "x"}, {"attribute": "age", "is": "x"}]},
            ["any.0.attribute", "any.1.is"],
        ),
        (nested(MAX_DEPTH + 1), [".".join(["not"] * MAX_DEPTH)]),
        ({"all": MANY * 3}, ["all"]),
        ({"all": [{"any": MANY}, {"any": MANY}, {"any": MANY[:1]}]}, [""]),
    ],
)
def test_mistakes_are_named_with_their_paths(filter: Any, paths: list[str]) -> None:
    with pytest.raises(WrongFilterError) as caught:
        read(filter, TYPES)
    assert [one.path for one in caught.value.mistakes] == paths
    assert all(one.message for one in caught.value.mistakes)


def test_the_largest_filter_there_may_be(desk: Desk) -> None:
    filter = nested(MAX_DEPTH - 2)
    wide: Any = {"all": [{"any": [filter, *MANY]}, {"none": MANY[:-1]}]}
    read(nested(MAX_DEPTH), TYPES)
    audience = Audience(NOW, filters=[read(wide, TYPES)])
    assert desk.run(chosen(desk.connection, [Someone({}, None, None, NOW)], audience)) == ["user-0"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["all", "any", "none", "not", "attribute", "is", "in", "before", "exists"]
            ),
            st.one_of(parts, st.sampled_from(["plan", "age", "topics", "signed_up"])),
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(filter=JSON)
def test_any_document_is_read_or_refused(desk: Desk, filter: Any) -> None:
    try:
        found = read(filter, TYPES)
    except WrongFilterError:
        return
    one = Someone({"plan": "pro", "age": 1}, "de", None, NOW, {"north"})
    chose = desk.run(chosen(desk.connection, [one], Audience(NOW, filters=[found])))
    assert (chose == ["user-0"]) == fulfils(orjson.loads(orjson.dumps(filter)), one)
