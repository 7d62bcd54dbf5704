"""Which JSON Schemas may be declared: those whose cost is bounded, and that hold no misspelt keyword.

Editors may be hostile, and the schema is looked at for every notification. References stay within `$defs`
and never lead back, so that what has to be looked at can be counted.
"""

from collections.abc import Iterator, Mapping

from tidings.domain.documents import check_document
from tidings.domain.messages import JSON

MAX_NODES = 2_000
"""Schemas in a schema, each counted as often as it is referred to."""
_MAX_DEPTH = 100

_ONE = frozenset(
    {"items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
_LIST = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
_MAP = frozenset({"properties", "patternProperties", "dependentSchemas"})
_PLAIN = frozenset(
    {"$schema", "$comment", "$ref", "$defs", "type", "enum", "const", "format", "pattern"}
    | {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
    | {"minContains", "maxContains", "uniqueItems", "required", "dependentRequired"}
)
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DEFS = "#/$defs/"

Found = tuple[str, str]
"""Path within the schema, and what is wrong there."""


def check_rules(schema: Mapping[str, JSON]) -> Iterator[Found]:
    """What is wrong; the JSON Schema library looks at the rest."""
    try:
        check_document(dict(schema), nul=False)
    except ValueError as error:
        yield "", str(error)
        return
    if schema.get("$schema", _DRAFT) != _DRAFT:
        yield "$schema", f"must be {_DRAFT}"
    if schema.get("type", "object") != "object":
        yield "type", "must be object: the data of a notification is one"
    yield from _Walk(schema.get("$defs")).look(dict(schema), "", ())


class _Walk:
    def __init__(self, definitions: JSON) -> None:
        self._definitions = definitions if isinstance(definitions, dict) else {}
        self._seen = 0

    def look(self, schema: JSON, path: str, through: tuple[str, ...]) -> Iterator[Found]:
        """through: the definitions that are open. What is no object is left to the library."""
        self._seen += 1
        if self._seen > MAX_NODES:
            if self._seen == MAX_NODES + 1:
                yield path, f"the schema is too large: over {MAX_NODES} schemas in it"
            return
        if path.count(".") > _MAX_DEPTH:
            yield path, "is nested too deeply"
            return
        if not isinstance(schema, dict):
            return
        for keyword, value in schema.items():
            yield from self._keyword(keyword, value, f"{path}.{keyword}".lstrip("."), through)

    def _keyword(
        self, keyword: str, value: JSON, path: str, through: tuple[str, ...]
    ) -> Iterator[Found]:
        if keyword == "$ref":
            yield from self._referred(value, path, through)
        elif keyword == "$defs" and (path != "$defs" or through):
            yield path, "belongs to the outermost schema"
        elif keyword in _ONE:
            yield from self.look(value, path, through)
        elif keyword in _LIST and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from self.look(inner, f"{path}.{index}", through)
        elif (keyword in _MAP or keyword == "$defs") and isinstance(value, dict):
            for name, inner in value.items():
                yield from self.look(inner, f"{path}.{name}", through)
        elif not (keyword in _PLAIN | _LIST | _MAP or keyword.startswith("x-")):
            yield path, "is not a keyword that can be used here"

    def _referred(self, value: JSON, path: str, through: tuple[str, ...]) -> Iterator[Found]:
        name = value.removeprefix(_DEFS) if isinstance(value, str) else ""
        if (
            not isinstance(value, str)
            or not value.startswith(_DEFS)
            or name not in self._definitions
        ):
            yield path, f"must refer to one of this schema's $defs, as {_DEFS}address"
        elif name in through:
            yield path, "leads back to itself"
        else:
            yield from self.look(self._definitions[name], path, (*through, name))
