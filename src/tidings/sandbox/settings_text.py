"""The settings by which Tidings uses the sandbox."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import orjson

from tidings.sandbox import smtp
from tidings.sandbox.vendor import Place, Vendor


def settings_text(
    vendors: Sequence[Vendor],
    place: Place,
    more: Callable[[str], Mapping[str, Any]] = lambda _: {},
) -> str:
    """TOML, for tidings.toml: an account with every vendor, named as its provider. more: further fields of an
    account, by its name."""
    return "\n".join(_lines(vendors, place, more)) + "\n"


def _lines(
    vendors: Sequence[Vendor], place: Place, more: Callable[[str], Mapping[str, Any]]
) -> Iterator[str]:
    yield f"# Accounts with the sandbox at {place.url}; its credentials are worth nothing elsewhere."
    for vendor in vendors:
        if vendor.account is None:
            continue
        if vendor.extra is not None and find_spec(vendor.extra[1]) is None:
            yield f"\n# {vendor.title} needs more: pip install 'tidings[{vendor.extra[0]}]'"
            continue
        yield from _account(vendor.name, {**vendor.account(place), **more(vendor.name)})
    if smtp.NAME in place.ports:
        yield from _account(smtp.NAME, {**smtp.account(place), **more(smtp.NAME)})
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
