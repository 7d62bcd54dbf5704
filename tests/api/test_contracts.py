"""The data that a template declares: what may be declared, and what is refused because of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.conftest import Rows
from tests.api.problem import assert_problem
from tests.api.test_streams import dump, stream
from tests.support.system import System
from tidings.api.problems import Code
from tidings.domain.contracts import Contract, Mismatch

pytestmark = pytest.mark.anyio

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["number", "items"],
    "properties": {
        "number": {"type": "string", "maxLength": 10},
        "note": {"type": ["string", "null"]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
    },
    "$defs": {
        "item": {
            "type": "object",
            "required": ["name", "price"],
            "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
        }
    },
}
CONTENT = {
    "sms": {"body": "{{ number }}{% for one in items %} {{ one.name }} {{ one.price }}{% endfor %}"}
}
FITS: dict[str, Any] = {"number": "A1", "items": [{"name": "Tea", "price": 2.5}]}
WRONG: dict[str, Any] = {
    "number": "A" * 11,
    "note": 5,
    "items": [{"name": "Tea", "price": 1}, {"name": "x"}],
}
MISMATCHES = {
    "data.number": "must have at most 10 characters",
    "data.note": "must be null or string",
    "data.items[1].price": "is required",
}


def errors_of(problem: dict[str, Any]) -> dict[str, str]:
    return {one["path"]: one["message"] for one in problem["errors"]}


def request(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"template_id": "order", "recipient": {"phone": "+4915112345678"}, "data": data, **more}


@pytest.fixture
async def order(quiet: System) -> System:
    document = {"content": CONTENT, "variables": ORDER}
    if (await quiet.call("PUT", "/templates/order", document)).status == 404:
        await quiet.template(CONTENT, "order", variables=ORDER)
    return quiet


async def test_what_is_declared_is_kept(order: System) -> None:
    found = (await order.call("GET", "/templates/order")).body
    assert (found["variables"], found["sample"]) == (ORDER, None)
    plain = (await order.call("GET", "/templates/note")).body
    assert (plain["variables"], plain["sample"]) == (None, None)


async def test_data_that_does_not_fit_is_refused(order: System, rows: Rows) -> None:
    before = await rows()
    answer = await order.call("POST", "/notifications/send", request(WRONG))
    assert_problem(answer, Code.INVALID_DATA)
    assert errors_of(answer.body) == MISMATCHES
    assert await rows() == before
    empty = await order.call("POST", "/notifications/send", request({}))
    assert errors_of(empty.body) == {"data.number": "is required", "data.items": "is required"}
    assert (await order.call("POST", "/notifications/send", request(FITS))).status == 202


async def test_in_bulk_the_others_are_accepted(order: System) -> None:
    body = {"notifications": [request(FITS), request(WRONG), request(FITS)]}
    answer = await order.call("POST", "/notifications/bulk", body)
    results = answer.body["results"]
    assert ["notification_id" in one for one in results] == [True, False, True]
    assert errors_of(results[1]["problem"]) == MISMATCHES


async def test_in_a_stream_the_others_are_accepted(order: System) -> None:
    answers = await stream(order, dump([request(FITS), request(WRONG), request(FITS)]))
    (refused,) = [one["problem"] for one in answers if "problem" in one]
    assert errors_of(refused) == MISMATCHES
    assert (answers[-1]["accepted"], answers[-1]["refused"]) == (2, 1)


async def test_a_schedule_of_data_that_does_not_fit_is_not_made(order: System, rows: Rows) -> None:
    before = await rows()
    body = {"cron": "0 9 * * *", "request": request(WRONG)}
    answer = await order.call("POST", "/schedules", body)
    assert_problem(answer, Code.INVALID_DATA)
    assert errors_of(answer.body) == {f"request.{k}": v for k, v in MISMATCHES.items()}
    assert await rows() == before
    made = await order.call("POST", "/schedules", {**body, "request": request(FITS)})
    assert made.status == 201
    change = {"request": request(WRONG)}
    changed = await order.call("PATCH", f"/schedules/{made.body['schedule_id']}", change)
    assert_problem(changed, Code.INVALID_DATA)


WRONG_SCHEMAS: list[tuple[Any, str, str]] = [
    ({"properties": {"a": {"minLenght": 3}}}, "variables.properties.a.minLenght", "keyword"),
    ({"properties": {"a": {"type": "nope"}}}, "variables.properties.a.type", "not a valid"),
    ({"properties": {"a": {"pattern": "(?=a)b"}}}, "variables.properties.a.pattern", "regex"),
    ({"properties": {"a": {"format": "foo"}}}, "variables.properties.a.format", "foo"),
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "variables.properties.a.$ref", "$defs"),
    ({"$ref": "https://example.com/schema"}, "variables.$ref", "$defs"),
    ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "variables.$defs", "leads back"),
    ({"$id": "https://example.com"}, "variables.$id", "keyword"),
    ({"type": "array"}, "variables.type", "object"),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, "variables.$schema", "2020-12"),
    ({"allOf": [{}] * 2_001}, "variables.allOf", "too large"),
]


@pytest.mark.parametrize(("schema", "path", "said"), WRONG_SCHEMAS)
async def test_what_cannot_be_declared(
    quiet: System, rows: Rows, schema: Any, path: str, said: str
) -> None:
    before = await rows()
    body = {"id": "fresh", "content": CONTENT, "variables": schema}
    answer = await quiet.call("POST", "/templates", body)
    assert_problem(answer, Code.INVALID_TEMPLATE, path)
    assert said in answer.body["errors"][0]["message"]
    assert await rows() == before


async def test_a_schema_cannot_grow_by_its_references(quiet: System) -> None:
    """Each looked at twice by the one before: two to the power of thirty, were it not counted."""
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    body = {"id": "big", "content": CONTENT, "variables": {"$defs": {**twice, "d30": {}}}}
    assert_problem(await quiet.call("POST", "/templates", body), Code.INVALID_TEMPLATE)


async def test_a_sample_must_fit(quiet: System) -> None:
    body = {"id": "sampled", "content": CONTENT, "variables": ORDER, "sample": WRONG}
    answer = await quiet.call("POST", "/templates", body)
    assert_problem(answer, Code.INVALID_TEMPLATE, "sample.number")
    assert (await quiet.call("POST", "/templates", {**body, "sample": FITS})).body["sample"] == FITS


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"enum": [1, "x"]}, 3, "must be one of 1, 'x'"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 3, "must be string or null"),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 3, "fits none of the declared alternatives"),
        ({"oneOf": [{"type": "string"}, {"maxLength": 3}]}, "a", "fits several of the declared"),
        ({"format": "email"}, "ann", "must be a valid email"),
        ({"minimum": 3}, 2, "must be at least 3"),
        ({"minItems": 1}, [], "must have at least 1 items"),
        ({"uniqueItems": True}, [1, 1], "does not fit the declared uniqueItems"),
    ],
)
def test_what_does_not_fit_is_said_without_the_value(schema: Any, value: Any, message: str) -> None:
    contract = Contract.declared({"properties": {"a": schema}})
    (found,) = contract.mismatches({"a": value})
    assert found.path == "data.a"
    assert found.message.startswith(message)


def test_names_of_the_data_that_may_be_content_are_hidden() -> None:
    contract = Contract.declared({"additionalProperties": {"type": "integer"}})
    (found,) = contract.mismatches({"ann@example.com": "x"})
    assert found == Mismatch("data.*", "must be integer")
    closed = Contract.declared({"properties": {"name": {}}, "additionalProperties": False})
    assert closed.mismatches({"nmae": 1}) == [Mismatch("data.nmae", "is not declared")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abé", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


def exact(value: Any) -> dict[str, Any]:
    """The schema of this value alone, by its shape."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "required": sorted(value),
            "properties": {name: exact(member) for name, member in value.items()},
        }
    if isinstance(value, list):
        return {
            "type": "array",
            "minItems": len(value),
            "prefixItems": [*map(exact, value)] or [{}],
        }
    return {"const": value}


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Each member of an object: its path, the object, and its name."""
    for name, member in value.items() if isinstance(value, dict) else enumerate(value):
        here = f"{path}.{name}" if isinstance(value, dict) else f"{path}[{name}]"
        if isinstance(value, dict):
            yield here, value, name
        if isinstance(member, dict | list):
            yield from leaves(member, here)


@given(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), st.data())
def test_what_is_missing_is_named_with_its_path(value: dict[str, Any], data: Any) -> None:
    contract = Contract.declared(exact(value))
    assert not contract.mismatches(value)
    path, owner, name = data.draw(st.sampled_from(list(leaves(value, "data"))))
    del owner[name]
    assert Mismatch(path, "is required") in contract.mismatches(value)
