"""Data made up from a JSON Schema, to see whether a template renders with all that the schema allows."""

import math
from collections.abc import Mapping

from tidings.domain.messages import JSON

_DEPTH = 20
_LONGEST, _MOST_ITEMS = 10_000, 3  # what asks for more gets a sample that does not fit
_TEXTS: Mapping[str, str] = {
    "date-time": "2030-01-31T09:30:00Z",
    "date": "2030-01-31",
    "time": "09:30:00Z",
    "duration": "PT1H",
    "email": "ann@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "uuid": "01890000-0000-7000-8000-000000000000",
}
_AMOUNT = frozenset({"number", "string", "null"})
"""Types that together stand for an amount, which may be written as a text: any text would not do."""
_TELLING = frozenset(
    (
        "type",
        "const",
        "default",
        "examples",
        "enum",
        "properties",
        "required",
        "items",
        "prefixItems",
    )
) | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_ORDER = ("string", "number", "integer", "boolean", "array", "object", "null")


def sample(schema: Mapping[str, JSON], *, whole: bool) -> dict[str, JSON]:
    """A document of a schema. whole: with all that is declared; otherwise only with what is required.

    It need not fit: what a pattern or a combination of schemas asks for is not worked out.
    """
    definitions = schema.get("$defs")
    made = _Making(definitions if isinstance(definitions, dict) else {}, whole).value(
        dict(schema), ""
    )
    return made if isinstance(made, dict) else {}


def names_types(schema: Mapping[str, JSON]) -> bool:
    """Whether each value that sample() makes up for it is of a type that it tells."""
    definitions = schema.get("$defs")
    making = _Making(definitions if isinstance(definitions, dict) else {}, whole=True)
    making.value(dict(schema), "")
    return not making.guessed


class _Making:
    """guessed: whether a schema did not say of which type its value is."""

    def __init__(self, definitions: Mapping[str, JSON], whole: bool) -> None:
        self._definitions = definitions
        self._whole = whole
        self.guessed = False

    def value(self, schema: JSON, name: str, depth: int = 0) -> JSON:
        """name: of the member it is for, which is what a text says."""
        if not isinstance(schema, dict) or depth > _DEPTH:
            self.guessed = True
            return name
        schema = self._merged(schema)
        self.guessed |= not schema.keys() & _TELLING
        for keyword in ("const", "default"):
            if keyword in schema:
                return schema[keyword]
        for keyword in ("examples", "enum"):
            listed = schema.get(keyword)
            if isinstance(listed, list) and listed:
                return listed[0]
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: Mapping[str, JSON], name: str, depth: int) -> JSON:
        kind = _type(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in {"number", "integer"}:
            return _number(schema)
        return {"boolean": True, "null": None}.get(kind, _text(schema, name))

    def _merged(self, schema: Mapping[str, JSON]) -> dict[str, JSON]:
        """With what it refers to, all of allOf, and the first of other alternatives."""
        found = dict(schema)
        for inner in self._parts(schema):
            if not isinstance(inner, dict):
                continue
            for keyword, value in self._merged(inner).items():
                own = found.get(keyword)
                if isinstance(own, dict) and isinstance(value, dict):
                    found[keyword] = {**own, **value}
                elif isinstance(own, list) and isinstance(value, list) and keyword == "required":
                    found[keyword] = [*own, *value]
                else:
                    found.setdefault(keyword, value)
        return found

    def _parts(self, schema: Mapping[str, JSON]) -> list[JSON]:
        reference = schema.get("$ref")
        parts: list[JSON] = []
        if isinstance(reference, str):
            parts.append(self._definitions.get(reference.removeprefix("#/$defs/")))
        for keyword, count in (("allOf", None), ("anyOf", 1), ("oneOf", 1)):
            listed = schema.get(keyword)
            if isinstance(listed, list):
                parts += listed[:count]
        return parts

    def _object(self, schema: Mapping[str, JSON], depth: int) -> dict[str, JSON]:
        properties, required = schema.get("properties"), schema.get("required")
        members = properties if isinstance(properties, dict) else {}
        needed = (
            [one for one in required if isinstance(one, str)] if isinstance(required, list) else []
        )
        names = dict.fromkeys([*members, *needed] if self._whole else needed)
        return {name: self.value(members.get(name, {}), name, depth + 1) for name in names}

    def _array(self, schema: Mapping[str, JSON], name: str, depth: int) -> list[JSON]:
        first, least = schema.get("prefixItems"), schema.get("minItems", 0)
        prefix = first if isinstance(first, list) else []
        count = max(int(least) if isinstance(least, int | float) else 0, 1 if self._whole else 0)
        count = min(count, _MOST_ITEMS)
        kinds = [*prefix, *[schema.get("items", {})] * (count - len(prefix))]
        return [self.value(kind, name, depth + 1) for kind in kinds[: max(count, len(prefix))]]


def _type(schema: Mapping[str, JSON]) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return kinds
    return _of_types(kinds) if isinstance(kinds, list) else _implied(schema)


def _of_types(kinds: list[JSON]) -> str:
    if "number" in kinds and all(one in _AMOUNT for one in kinds):
        return "number"
    return next((one for one in _ORDER if one in kinds), "string")


def _implied(schema: Mapping[str, JSON]) -> str:
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return "number"
    return "string"


def _number(schema: Mapping[str, JSON]) -> JSON:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf")
    value: int | float = 1
    if isinstance(low, int | float) and low >= value:
        value = math.floor(low) + 1
    elif isinstance(high, int | float) and high <= value:
        value = math.ceil(high) - 1
    if isinstance(step, int | float) and value / step < _LONGEST:
        value = math.ceil(value / step) * step
    return value


def _text(schema: Mapping[str, JSON], name: str) -> str:
    kind = schema.get("format")
    text = _TEXTS.get(kind, name) if isinstance(kind, str) else name
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, _LONGEST), "x")
    return text[:most] if isinstance(most, int) else text
