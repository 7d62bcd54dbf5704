"""The how-to page on providers, followed to the letter: its package is installed, and serves an account."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.providers.http_server import HttpStandIn
from tests.providers.vendors import NOW, Reply, answering, no_store, sms
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.domain.reasons import Reason
from tidings.providers.catalogue import Catalogue, Ports, read_catalogue
from tidings.providers.http_client import HttpClient

_FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as pip leaves it: the module, and beside it what the package says of itself."""
    page = (DOCS / "how-to/add-a-provider.md").read_text(encoding="utf-8")
    for name, text in _FILE.findall(page):
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    about = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_command_line_knows_its_accounts(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidings", "accounts", "--json"],
        cwd=installed,
        env={
            **os.environ,
            "PYTHONPATH": str(installed),
            "TIDINGS_CONFIG": str(installed / "tidings.toml"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [acme] = [one for one in map(json.loads, done.stdout.splitlines()) if one["name"] == "acme"]
    assert (acme["provider"], acme["channels"]) == ("acme", ["sms"])
    assert acme["api_key"] == "***"
    assert acme["max_parts"] == 10


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(200, {"id": "a-1"}), Accepted("a-1")),
        (
            Reply(400, {"error": "bad_number"}),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 bad_number"),
        ),
    ],
)
def test_it_sends(
    installed: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, expected: Outcome
) -> None:
    monkeypatch.syspath_prepend(installed)
    monkeypatch.delitem(sys.modules, "tidings_acme", raising=False)
    outcome, sent = asyncio.run(_send(read_catalogue(), reply))
    assert outcome == expected
    assert sent["to"] == "+14155550000"
    assert sent["from"] == "+15005550006"


async def _send(catalogue: Catalogue, reply: Reply) -> tuple[Outcome, dict[str, str]]:
    manifest = catalogue.manifests["acme"]
    http = HttpClient()
    async with HttpStandIn(answering(lambda _: reply)) as server:
        values = {one.name: one.default for one in manifest.fields} | {
            "api_key": "key",
            "from": ("*=+15005550006",),
            "endpoint": server.url(""),
        }
        account = Account("acme", "acme", manifest.channels, False, 5.0, values)
        ports = Ports(http, http, no_store, no_store, clock=NOW.timestamp)
        [outcome] = await catalogue.provider_of(account, ports).send([sms()])
        await http.close()
    return outcome, json.loads(server.received[0].body)
