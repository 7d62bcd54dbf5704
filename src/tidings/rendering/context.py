"""The names that a template sees."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tidings.rendering.jinja import GLOBALS

RESERVED = ("data", "recipient")


_NO_LINKS: Mapping[str, str] = MappingProxyType({})


def context_of(
    data: Mapping[str, Any],
    recipient: Mapping[str, Any],
    links: Mapping[str, str] = _NO_LINKS,
) -> dict[str, Any]:
    """The data's keys as variables, all of it as `data`, and `recipient` (user_id, locale, timezone). links:
    unsubscribe_url and preferences_url, which data of these names goes before."""
    return {**GLOBALS, **links, **data, "data": data, "recipient": recipient}
