"""The data that a template takes, declared as a JSON Schema and looked at when a notification is accepted."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import jsonschema_rs

from tidings.domain.contract_rules import check_rules
from tidings.domain.messages import JSON

MOST = 20
"""Mismatches that are told of one document."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LISTED = 10


class WrongContractError(ValueError):
    """The schema cannot be used. path: within it, dotted; empty for the whole."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Mismatch:
    """path: as data.items[0].price. The message shows names and what is declared, never a value."""

    path: str
    message: str


class Contract:
    """A JSON Schema, draft 2020-12, compiled when it is first used."""

    def __init__(self, schema: Mapping[str, JSON]) -> None:
        self.schema = schema

    def __repr__(self) -> str:
        return "Contract()"

    @classmethod
    def declared(cls, schema: Mapping[str, JSON]) -> "Contract":
        """One that an editor wrote. Raises WrongContractError."""
        for path, message in check_rules(schema):
            raise WrongContractError(path, message)
        made = cls(schema)
        try:
            _ = made._compiled
        except jsonschema_rs.ValidationError as error:
            path = ".".join(map(str, error.instance_path))
            raise WrongContractError(path, _about_schema(error)) from None
        return made

    def mismatches(self, data: Mapping[str, JSON]) -> Sequence[Mismatch]:
        """What does not fit, at most MOST; usually nothing."""
        try:
            if self._compiled.is_valid(data):
                return ()
            return list(islice(_told(self._compiled.iter_errors(data)), MOST))
        except jsonschema_rs.ValidationError:
            # It was good when it was saved: a later version of the library does not take it.
            return [Mismatch("data", "the template's declared variables cannot be read any more")]

    @cached_property
    def _compiled(self) -> jsonschema_rs.Draft202012Validator:
        # The linear engine: with the other a pattern can take time that grows with the power of its text.
        return jsonschema_rs.Draft202012Validator(
            dict(self.schema),
            validate_formats=True,
            ignore_unknown_formats=False,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
        )


def _about_schema(error: jsonschema_rs.ValidationError) -> str:
    message = error.message
    return "is not a valid JSON Schema: " + (
        message if len(message) <= 200 else f"{error.kind.name} does not hold"
    )


def _told(errors: Iterator[jsonschema_rs.ValidationError]) -> Iterator[Mismatch]:
    for error in errors:
        path, kind = list(error.instance_path), error.kind
        match kind:
            case kind.Required(name):
                yield Mismatch(_written([*path, name]), "is required")
            case kind.AdditionalProperties(names) | kind.UnevaluatedProperties(names):
                for name in names:
                    yield Mismatch(_written([*path, name]), "is not declared")
            case _:
                yield Mismatch(_written(path), _message(error))


def _written(path: Sequence[str | int]) -> str:
    """Names that are no plain names may be someone's data, and are shown as *."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{part if _PLAIN_NAME.fullmatch(part) else '*'}"
        for part in path
    )
    return "data" + "".join(parts)


def _message(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    name, value = kind.name, kind.value
    if name in _ALTERNATIVES:
        return _alternatives(error, value)
    if name == "type":
        return f"must be {' or '.join(sorted(value))}"
    if name == "enum" and len(value) <= _LISTED:
        return f"must be one of {', '.join(map(repr, value))}"
    if name in _SAID:
        return _SAID[name].format(value)
    return f"does not fit the declared {name}"


_ALTERNATIVES = frozenset({"anyOf", "oneOf"})
_SAID = {
    "falseSchema": "is not allowed",
    "format": "must be a valid {}",
    "pattern": "must match the pattern {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
}


def _alternatives(
    error: jsonschema_rs.ValidationError,
    branches: Sequence[Sequence[jsonschema_rs.ValidationError]],
) -> str:
    """Where each alternative is only of another type, those types. branches: none where several alternatives
    hold of which one must."""
    types: list[str] = []
    for branch in branches:
        for one in branch:
            if one.kind.name != "type" or one.instance_path != error.instance_path:
                return "fits none of the declared alternatives"
            types += one.kind.value
    if not types:
        return "fits several of the declared alternatives, of which it must fit one"
    return f"must be {' or '.join(dict.fromkeys(types))}"
