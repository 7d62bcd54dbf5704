"""Reading what is given as JSON, and whom to send to."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pydantic_core
import typer

_PHONE = re.compile(r"\+[0-9][0-9 ().-]*")
_KINDS = {
    "user": "user_id",
    "email": "email",
    "phone": "phone",
    "url": "webhook_url",
    "push": "push_tokens",
    "chat": "chat_url",
}


def json_object(option: str, given: str) -> dict[str, Any]:
    """An object, from JSON, from @file, or from standard input with @-. Raises typer.BadParameter."""
    try:
        document = pydantic_core.from_json(_content(option, given), allow_inf_nan=False)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from None
    if not isinstance(document, dict):
        raise typer.BadParameter("a JSON object is wanted", param_hint=option)
    try:
        orjson.dumps(document)
    except TypeError as error:
        raise typer.BadParameter(f"cannot be sent: {error}", param_hint=option) from None
    return document


def recipient(addresses: Sequence[str]) -> dict[str, Any]:
    """What the API takes as recipient. Raises typer.BadParameter.

    KIND:ADDRESS says what it is; without a kind, an @ makes an email, a + a phone number, http(s):// a
    webhook's URL, and everything else is a user's id.
    """
    found: dict[str, Any] = {}
    for address in addresses:
        name, value = _kind(address)
        if name == "push_tokens":
            found.setdefault(name, []).append(value)
        elif found.setdefault(name, value) != value:
            raise typer.BadParameter(
                f"two addresses of one kind ({name}); a notification has one recipient",
                param_hint="--to",
            )
    return found


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE, any number of them. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"{one!r} is not NAME=VALUE", param_hint=option)
        found[name] = value
    return found


def _kind(address: str) -> tuple[str, str]:
    prefix, colon, rest = address.partition(":")
    if colon and prefix in _KINDS:
        return _KINDS[prefix], _digits(rest) if prefix == "phone" else rest
    if address.startswith(("http://", "https://")):
        return "webhook_url", address
    if _PHONE.fullmatch(address):
        return "phone", _digits(address)
    return ("email" if "@" in address else "user_id"), address


def _digits(phone: str) -> str:
    """+1 (555) 123-4567 as the API wants it: E.164."""
    return re.sub(r"[ ().-]", "", phone)


def _content(option: str, given: str) -> str | bytes:
    if not given.startswith("@"):
        return given
    if given == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{given[1:]}: {error.strerror}", param_hint=option) from None
