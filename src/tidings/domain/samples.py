"""Data made up from a JSON Schema, to see whether a template renders with all that the schema allows."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tidings.domain.messages import JSON

_DEPTH = 20
_MOST_TURNS = 20
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
_ORDER: Sequence[str] = ("string", "number", "integer", "boolean", "array", "object", "null")


def sample(schema: Mapping[str, JSON], *, whole: bool) -> dict[str, JSON]:
    """A document of a schema. whole: with all that is declared; otherwise only with what is required.

    It need not fit: what a pattern or a combination of schemas asks for is not worked out.
    """
    return _Making(schema, whole=whole).document()


def alternatives(schema: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
    """Further documents with all that is declared: each of other alternatives, where a schema leaves a choice between
    truth values, types, or members of `enum`, `anyOf` and `oneOf`. All choices are made together, not in all ways."""
    first = _Making(schema, whole=True)
    first.document()
    for turn in range(1, min(first.choices, _MOST_TURNS)):
        yield _Making(schema, whole=True, turn=turn).document()


def names_types(schema: Mapping[str, JSON]) -> bool:
    """Whether each value that sample() makes up for it is of a type that it tells."""
    making = _Making(schema, whole=True)
    making.document()
    return not making.guessed


class _Making:
    """turn: which of several alternatives is taken, in turn. choices: how many there are at the most. guessed: whether a
    schema did not say of which type its value is."""

    def __init__(self, schema: Mapping[str, JSON], *, whole: bool, turn: int = 0) -> None:
        definitions = schema.get("$defs")
        self._schema = schema
        self._definitions = definitions if isinstance(definitions, dict) else {}
        self._whole = whole
        self._turn = turn
        self.choices = 1
        self.guessed = False

    def document(self) -> dict[str, JSON]:
        made = self.value(dict(self._schema), "")
        return made if isinstance(made, dict) else {}

    def _chosen(self, among: Sequence[JSON]) -> JSON:
        self.choices = max(self.choices, len(among))
        return among[self._turn % len(among)]

    def value(self, schema: JSON, name: str, depth: int = 0) -> JSON:
        """name: of the member it is for, which is what a text says."""
        if not isinstance(schema, dict) or depth > _DEPTH:
            self.guessed = True
            return name
        schema = self._merged(schema)
        self.guessed |= not schema.keys() & _TELLING
        if "const" in schema:
            return schema["const"]
        truth = schema.get("type") == "boolean"
        if "default" in schema and not self._turn:
            self.choices = max(self.choices, 2 if truth else 1)
            return schema["default"]
        for keyword in ("enum", "examples"):
            listed = schema.get(keyword)
            if isinstance(listed, list) and listed:
                return self._chosen(listed)
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: Mapping[str, JSON], name: str, depth: int) -> JSON:
        kind = str(self._chosen(_types(schema)))
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in {"number", "integer"}:
            return _number(schema)
        if kind == "boolean":
            return self._chosen((True, False))
        return None if kind == "null" else _text(schema, name)

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
        for keyword in ("allOf", "anyOf", "oneOf"):
            listed = schema.get(keyword)
            if isinstance(listed, list) and listed:
                parts += listed if keyword == "allOf" else [self._chosen(listed)]
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


def _types(schema: Mapping[str, JSON]) -> list[JSON]:
    """Those that a value may be of, the one first that says most."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return [kinds]
    if not isinstance(kinds, list):
        return [_implied(schema)]
    order = _ORDER
    if "number" in kinds and all(one in _AMOUNT for one in kinds):
        order = tuple(one for one in _ORDER if one != "string")
    return [one for one in order if one in kinds] or ["string"]


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
