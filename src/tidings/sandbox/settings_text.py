"""The settings by which Tidings uses the sandbox."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from tidings.sandbox import smtp
from tidings.sandbox.vendor import Place, Vendor


def settings_text(vendors: Sequence[Vendor], place: Place) -> str:
    """TOML, for tidings.toml: an account with every vendor, named as its provider."""
    return "\n".join(_lines(vendors, place)) + "\n"


def _lines(vendors: Sequence[Vendor], place: Place) -> Iterator[str]:
    yield f"# Accounts with the sandbox at {place.url}; its credentials are worth nothing elsewhere."
    for vendor in vendors:
        yield from _account(vendor.name, vendor.account(place))
    if smtp.NAME in place.ports:
        yield from _account(smtp.NAME, smtp.account(place))
    yield ""
    yield "# Webhooks and push endpoints may not reach private addresses, unless they are listed."
    yield "[outbound]"
    yield f"allow = [{_value(urlsplit(place.url).hostname)}]"


def _account(name: str, fields: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"[accounts.{name}]"
    yield f"provider = {_value(name)}"
    for field, value in fields.items():
        yield f"{field} = {_value(value)}"


def _value(value: Any) -> str:
    """JSON's texts, numbers and lists of them are also TOML's."""
    return orjson.dumps(value).decode()
