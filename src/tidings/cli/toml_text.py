"""Writing flat TOML: names and texts, as an editor would. The standard library only reads it.

See https://toml.io/en/v1.0.0#string.
"""

import re
from collections.abc import Mapping

_ESCAPED = {'"': '\\"', "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NEEDS_ESCAPE = re.compile(r'["\\\r\n\t\x00-\x1f\x7f]')


def dump(values: Mapping[str, str]) -> str:
    """One `name = "text"` per line; texts of several lines are written as such. Names must be bare keys."""
    return "".join(f"{name} = {_string(value)}\n" for name, value in values.items())


def _string(value: str) -> str:
    return _block(value) if "\n" in value else f'"{_NEEDS_ESCAPE.sub(_escape, value)}"'


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
