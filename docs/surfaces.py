"""Reference tables of what one calls: the API's routes and roles, and the commands."""

import importlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import typer
from fastapi.routing import APIRoute
from markdown import table
from prometheus_client import CollectorRegistry
from typer.main import get_command

from tidings.api.app import RESOURCES, create_app
from tidings.api.authentication import ALLOWED, Permission, Require
from tidings.api.feed_access import OwnOr
from tidings.api.parts import Parts
from tidings.cli import app as command_line
from tidings.cli.group import LazyGroup
from tidings.metrics import Metrics
from tidings.settings import ApiSettings
from tidings.store.api_keys import Role


def roles() -> str:
    columns = ("", *(f"`{role}`" for role in Role))
    rows = [
        (f"{word}", *("yes" if word in ALLOWED[role] else "" for role in Role))
        for word in Permission
    ]
    return table(columns, rows)


def routes() -> str:
    """From the application itself, wired with nothing but what making it needs."""
    settings, metrics = ApiSettings(), Metrics(CollectorRegistry())
    parts = SimpleNamespace(settings=settings, metrics=metrics, max_callback=0)
    api = create_app(cast("Parts", parts))
    permissions = _permissions()
    rows = [
        (f"`{method.upper()} {path}`", _summary(operation), permissions.get((method, path), ""))
        for path, methods in api.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    order = ("/notifications", "/batches", "/dead-letters", "/templates", "/users", "/outbox")
    rows.sort(key=lambda row: next((n for n, start in enumerate(order) if start in row[0]), 9))
    return table(("route", "what it does", "permission"), rows)


def _summary(operation: Mapping[str, Any]) -> str:
    text = operation.get("description") or operation["summary"]
    return str(text).rstrip(".")


def _permissions() -> dict[tuple[str, str], str]:
    """What a key must be allowed to. The two plain routes check it themselves."""
    found = {("post", f"/notifications/{name}"): str(Permission.SEND) for name in ("send", "bulk")}
    for route in (route for resource in RESOURCES for route in resource.router.routes):
        if not isinstance(route, APIRoute):
            continue
        for dependency in route.dependant.dependencies:
            if isinstance(dependency.call, Require | OwnOr):
                permission = str(dependency.call.permission)
                found |= {
                    (method.lower(), route.path): permission for method in route.methods or ()
                }
    return found


def commands() -> str:
    group = cast("LazyGroup", get_command(command_line))
    parts = []
    for name, lazy in group.table.items():
        command = get_command(importlib.import_module(lazy.module).app)
        parts.append(_command(command, f"tidings {name}", 2))
    return "\n".join(parts)


def _command(command: Any, name: str, level: int) -> str:
    context = typer.Context(command, info_name=name)
    inner = getattr(command, "commands", {})
    usage = " ".join((name, *command.collect_usage_pieces(context)))
    parts = [f"{'#' * level} `{name}`\n"]
    parts += [f"{' '.join(one.split())}\n" for one in (command.help or "").split("\n\n")]
    if inner and not command.invoke_without_command:
        parts += [_command(one, f"{name} {word}", level + 1) for word, one in inner.items()]
        return "\n".join(parts)
    parts.append(f"```text\n{usage}\n```\n")
    records = [one.get_help_record(context) for one in command.get_params(context)]
    rows = [(f"`{r[0]}`", r[1]) for r in records if r is not None and "--help" not in r[0]]
    if rows:
        parts.append(table(("", ""), rows) + "\n")
    parts += [_command(one, f"{name} {word}", level + 1) for word, one in inner.items()]
    return "\n".join(parts)
