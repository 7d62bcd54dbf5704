"""Reference tables of what the code declares: settings, codes, metrics."""

from collections.abc import Iterator, Mapping
from itertools import chain, groupby
from typing import Any

from markdown import Row, table
from prometheus_client import CollectorRegistry

from tidings.api.problems import Code
from tidings.bootstrap.exposition import _DeadLetterCollector, _QueueCollector
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import EventType
from tidings.domain.reasons import Reason
from tidings.metrics import Metrics
from tidings.settings import Settings


def settings() -> str:
    """Every setting but the accounts, whose fields are their providers'."""
    schema = Settings.model_json_schema()
    parts = []
    for section, entries in groupby(
        _entries(schema), key=lambda entry: entry[0].rpartition(".")[0]
    ):
        parts.append(f"### {f'`[{section}]`' if section else 'At the top of the file'}\n")
        columns = ("setting", "environment variable", "default", "allowed", "what it is")
        parts.append(table(columns, (_setting(*entry) for entry in entries)) + "\n")
    return "\n".join(parts)


def _entries(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Dotted names with their schemas: those at the top first, then section by section."""
    sections = []
    for name, found in schema["properties"].items():
        if "$ref" in found:
            sections.append((name, schema["$defs"][found["$ref"].rpartition("/")[2]]))
        elif name == "limits":
            sections.append(("limits.NAME", _resolved(schema["$defs"]["LimitSettings"], schema)))
        elif name != "accounts":
            yield name, found
    for section, inner in sections:
        for name, found in inner["properties"].items():
            yield f"{section}.{name}", found


def _resolved(part: Any, schema: Mapping[str, Any]) -> Any:
    """With the words of enumerations in the place of references to them."""
    if isinstance(part, list):
        return [_resolved(one, schema) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return {**schema["$defs"][part["$ref"].rpartition("/")[2]], **part}
    return {key: _resolved(one, schema) for key, one in part.items()}


def _setting(name: str, schema: Mapping[str, Any]) -> Row:
    variable = f"TIDINGS_{name.replace('.', '__').upper()}"
    key = name.rpartition(".")[2]
    return (
        f"`{key}`",
        f"`{variable}`",
        _default(name, schema),
        _allowed(schema),
        schema.get("description", ""),
    )


def _default(name: str, schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if name == "data_dir":
        return "`tidings` in the user's data directory"
    if value is None or value == {}:
        return ""
    if isinstance(value, dict):
        return "`" + ", ".join(f"{key} = {_brief(one)}" for key, one in value.items()) + "`"
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != [] else "none"
    )


def _brief(value: object) -> str:
    """A value of a table, as in TOML."""
    if not isinstance(value, dict):
        return f"{value:g}" if isinstance(value, int | float) else str(value)
    given = (f"{key} = {one:g}" for key, one in value.items() if one is not None)
    return "{ " + ", ".join(given) + " }"


def _allowed(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_allowed(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    words = {
        "integer": "whole number",
        "number": "number",
        "array": "list of texts",
        "string": "text",
        "object": "table",
        "boolean": "`true` or `false`",
    }
    word = {"path": "path", "password": "text, kept secret"}.get(schema.get("format", ""))
    word = word or words[schema["type"]]
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:,}".replace(",", " ", 0)
    if "exclusiveMinimum" in schema:
        return f"{word} over {schema['exclusiveMinimum']:g}, up to {high:,}"
    return word


def problems() -> str:
    return table(("code", "status", "title"), ((f"`{c.code}`", c.status, c.title) for c in Code))


def reasons() -> str:
    return table(("code", "what it means"), ((f"`{reason}`", reason.text) for reason in Reason))


def events() -> str:
    return table(("type", "what has happened"), ((f"`{one}`", one.text) for one in EventType))


def statuses() -> str:
    return ", ".join(f"`{status}`" for status in DeliveryStatus) + "."


def metrics() -> str:
    made = Metrics(CollectorRegistry())
    rows = []
    for collector in vars(made).values():
        # The names of a metric's labels are public only through samples, of which there are none yet.
        labels = ", ".join(f"`{name}`" for name in collector._labelnames)
        suffix = "_total" if collector._type == "counter" else ""
        name = f"`{collector._name}{suffix}`"
        rows.append((name, collector._type, labels, collector._documentation))
    for family in chain(_QueueCollector([]).collect(), _DeadLetterCollector({}).collect()):
        labels = ", ".join(f"`{name}`" for name in family.samples[0].labels)
        rows.append((f"`{family.name}`", family.type, labels, family.documentation))
    return table(("metric", "type", "labels", "what it counts"), rows)
