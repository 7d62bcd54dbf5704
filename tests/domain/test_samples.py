"""Data made up from a schema: it fits, and each alternative has its turn."""

from typing import Any

import jsonschema_rs
import pytest

from tidings.domain.samples import alternatives, names_types, sample


def document(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties}


CHOICES: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "boolean"}, [True, False]),
    ({"type": "boolean", "default": True}, [True, False]),
    ({"enum": ["a", "b", "c"]}, ["a", "b", "c"]),
    ({"type": ["string", "null"]}, ["x", None]),
    ({"type": ["number", "string"]}, [1]),
    ({"type": ["null", "number", "string"]}, [1, None]),
    ({"anyOf": [{"type": "string"}, {"type": "array"}]}, ["x", []]),
    ({"oneOf": [{"const": 1}, {"const": 2}]}, [1, 2]),
    ({"type": ["number", "string"], "examples": ["2030-01-31"]}, ["2030-01-31"]),
    ({"type": "string"}, ["x"]),
    ({"const": 5}, [5]),
]


@pytest.mark.parametrize(("schema", "values"), CHOICES)
def test_each_alternative_has_its_turn(schema: dict[str, Any], values: list[Any]) -> None:
    whole = document(x=schema, other={"type": "integer", "minimum": 7})
    found = [sample(whole, whole=True), *alternatives(whole)]
    seen = [one["x"] for one in found]
    seen = [
        value if value != ["x"] else [] for value in seen
    ]  # a list has an item where all is shown
    assert seen == values
    assert all(jsonschema_rs.is_valid(whole, one) for one in found)


def test_there_are_not_endlessly_many() -> None:
    assert len(list(alternatives(document(x={"enum": list(range(500))})))) < 20


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (document(x={"type": "string"}), True),
        (document(x={"enum": [1]}, y={"type": ["null", "number"]}), True),
        (document(x={"type": "array", "items": {"type": "number"}}), True),
        (document(x={}), False),
        (document(x={"type": "array", "items": {}}), False),
        (document(x={"description": "anything"}), False),
        ({"type": "object", "required": ["x"]}, False),
    ],
)
def test_it_is_known_whether_types_are_told(schema: dict[str, Any], expected: bool) -> None:
    assert names_types(schema) is expected
