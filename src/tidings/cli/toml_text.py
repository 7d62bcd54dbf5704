"""Writing TOML: names, texts, numbers and tables of them, as an editor would. The standard library only reads it.

See https://toml.io/en/v1.0.0#string.
"""

import re
from collections.abc import Mapping
from typing import Any

_ESCAPED = {'"': '\\"', "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NEEDS_ESCAPE = re.compile(r'["\\\r\n\t\x00-\x1f\x7f]')


def dump(values: Mapping[str, Any], within: str = "") -> str:
    """One `name = "text"` per line; texts of several lines are written as such. Tables come last, each under its
    name; within a list they stand in one line."""
    flat = {name: one for name, one in values.items() if not isinstance(one, Mapping)}
    lines = [f"{_key(name)} = {_value(one)}\n" for name, one in flat.items()]
    for name, one in values.items():
        if isinstance(one, Mapping):
            path = f"{within}{_key(name)}"
            lines.append(f"\n[{path}]\n{dump(one, f'{path}.')}")
    return "".join(lines)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _line(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _inline(value)


def _inline(value: Any) -> str:
    """A value within a list."""
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, Mapping):
        members = (f"{_key(name)} = {_inline(one)}" for name, one in value.items())
        return f"{{ {', '.join(members)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return _value(value) if isinstance(value, bool) else str(value)


def _line(value: str) -> str:
    return f'"{_NEEDS_ESCAPE.sub(_escape, value)}"'


def _string(value: str) -> str:
    return _block(value) if "\n" in value else _line(value)


def _block(value: str) -> str:
    """Between triple quotes. Quotes are escaped only where they would end it: in a row of three or more,
    and at the end."""
    last = '\\"' if value.endswith('"') else ""
    text = (value[:-1] if last else value).replace("\\", "\\\\").replace("\r", "\\r")
    text = _CONTROL.sub(_escape, text)
    text = text.replace('"""', '""\\"')
    return f'"""\n{text}{last}"""'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _ESCAPED.get(character) or f"\\u{ord(character):04X}"
