"""The names that a template sees."""

from collections.abc import Mapping
from typing import Any

from tidings.rendering.engine import GLOBALS

RESERVED = ("data", "recipient")


def context_of(data: Mapping[str, Any], recipient: Mapping[str, Any]) -> dict[str, Any]:
    """The data's keys as variables, all of it as `data`, and `recipient` (user_id, locale, timezone)."""
    return {**GLOBALS, **data, "data": data, "recipient": recipient}
