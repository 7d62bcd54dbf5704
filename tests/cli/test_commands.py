"""The list of commands, and what each of them loads."""

import importlib
import json
import subprocess
import sys

import pytest
import typer

from tests.cli.conftest import Cli, environment
from tidings import __version__
from tidings.cli import app
from tidings.cli.group import LazyGroup

COMMANDS = (
    app.info.cls.table
    if isinstance(app.info.cls, type) and issubclass(app.info.cls, LazyGroup)
    else {}
)
DATABASE_TOOLS = {"sqlalchemy", "alembic"}
WEB = {"fastapi", "starlette", "uvicorn"}


def loaded(statement: str) -> set[str]:
    """The packages that are loaded after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment({}),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        (
            "tidings.cli.serve",
            DATABASE_TOOLS
            | WEB
            | {"pyreqwest", "aiosmtplib", "jinja2", "cryptography", "prometheus_client"}
            | {"tidings.providers", "tidings.delivery", "tidings.intake", "tidings.api"},
        ),
        ("tidings.cli.worker", DATABASE_TOOLS | WEB | {"tidings.api", "tidings.web"}),
        ("tidings.cli.api", DATABASE_TOOLS | {"tidings.delivery.pump", "tidings.worker"}),
        ("tidings.cli.send", DATABASE_TOOLS | WEB | {"asyncpg", "cryptography", "tidings.store"}),
        ("tidings.cli.migrate", WEB | {"tidings.providers"}),
    ],
)
def test_a_command_carries_only_what_it_needs(module: str, unwanted: set[str]) -> None:
    assert loaded(f"import {module}") & unwanted == set()


def test_the_list_of_commands_loads_no_command() -> None:
    modules = loaded("from tidings.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert not {name for name in modules if name.startswith("tidings.")} - {
        "tidings.cli",
        "tidings.cli.errors",
        "tidings.cli.group",
    }
    assert "pydantic" not in modules


def test_the_list_names_every_command(alone: Cli) -> None:
    help_text = alone("--help").out
    assert len(COMMANDS) >= 18
    for name, lazy in COMMANDS.items():
        assert f" {name} " in help_text
        assert lazy.help in help_text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(alone: Cli, name: str) -> None:
    assert isinstance(importlib.import_module(COMMANDS[name].module).app, typer.Typer)
    assert f"tidings {name}" in alone(name, "--help").out


def test_help_is_as_wide_as_the_terminal(alone: Cli) -> None:
    """And not as the source: a paragraph has line ends only where the width asks for them."""
    shown = alone("template", "--help").out
    assert "with a template.toml (name, category, on_unknown) and a file for each part" in shown
    pushed = alone("template", "push", "--help").out
    assert "What would be done is shown and checked first; on a terminal you are asked" in pushed


def test_a_group_lists_its_commands_without_arguments(alone: Cli) -> None:
    assert "revoke" in alone("key", status=2).out


def test_version(alone: Cli) -> None:
    assert alone("--version").out == f"tidings {__version__}\n"


def test_a_mistyped_command_is_wrong_usage(alone: Cli) -> None:
    assert "Did you mean 'migrate'?" in alone("migrat", status=2).err


def test_python_m_tidings_is_tidings() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tidings", "--version"],
        env=environment({}),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.decode() == f"tidings {__version__}\n"
