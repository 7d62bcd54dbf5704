"""What the documentation says of the code is so."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from examples.demo.scenes import CONTRACT
from pydantic import BaseModel

from tests.docs.pages import DOCS, PAGES, ROOT, Block, all_blocks, anchors, links, name_of
from tidings import providers
from tidings.api.openapi import EXAMPLE
from tidings.api.routes.preferences import PreferencesView
from tidings.api.routes.templates import TemplateCreate
from tidings.intake.request import Recipient, SendRequest
from tidings.providers.accounts import build_accounts
from tidings.providers.catalogue import MANIFESTS
from tidings.providers.webhook.signing import read_secret
from tidings.rendering.source import TemplateContent
from tidings.settings import load

PROVIDERS = DOCS / "reference/providers"
_SECRET = "whsec_" + "c2VjcmV0" * 4


def _generate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, DOCS / "generate.py", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src"), "HOME": "/nowhere"},
    )


def test_reference_pages_are_up_to_date() -> None:
    done = _generate("--check")
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_up_to_date_is_noticed_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "reasons.md"
    right = (DOCS / "reference/reasons.md").read_text(encoding="utf-8")
    page.write_text(right.replace("The address does not exist.", "It is gone."), encoding="utf-8")
    assert _generate("--check", str(page)).returncode == 1
    assert "It is gone." in page.read_text(encoding="utf-8")
    assert _generate(str(page)).returncode == 0
    assert page.read_text(encoding="utf-8") == right


def test_each_provider_has_a_page_with_its_errors() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in PROVIDERS.glob("[a-z]*.md")}
    assert pages.keys() == MANIFESTS.keys()
    for folder in sorted(Path(providers.__file__).parent.glob("*/verdicts.py")):
        name = folder.parent.name
        table = getattr(
            importlib.import_module(f"tidings.providers.{name}.verdicts"), "TABLE", None
        )
        if table is None:
            assert name == "smtp"  # replies are no HTTP; its table has another shape
            continue
        assert table.docs_url.startswith("https://")
        assert f"<{table.docs_url}>" in pages[name]
        for one in table.rules:
            assert all(f"`{code}`" in pages[name] for code in one.codes)
            if table.code_url:
                links = [f"[`{code}`]({table.code_url.format(code=code)})" for code in one.codes]
                assert all(link in pages[name] for link in links)
            assert one.meaning.replace("<", "\\<") in pages[name]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


_SETTINGS = [one for one in all_blocks("toml") if not one.before.startswith("file: ")]
_SECRETS = re.compile(r'\{ env = "(\w+)" \}')


@pytest.mark.parametrize("block", _SETTINGS, ids=name_of)
def test_settings_are_valid(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, file = tmp_path / "secret", tmp_path / "tidings.toml"
    secret.write_text("s3cret\n")
    file.write_text(block.text.replace("/run/secrets/smtp_password", str(secret)))
    monkeypatch.setenv("TIDINGS_CONFIG", str(file))
    for name in _SECRETS.findall(block.text):
        monkeypatch.setenv(name, _SECRET if name == "WEBHOOK_SECRET" else "s3cret")
    for account in build_accounts(load(), MANIFESTS):
        for given in account.listed("secret"):
            read_secret(given)


@pytest.mark.parametrize("block", all_blocks("json"), ids=name_of)
def test_documents_are_valid(block: Block) -> None:
    document = json.loads(block.text)
    model = _model(document)
    if model is not None:
        model.model_validate(document)


def _model(document: dict[str, Any]) -> type[BaseModel] | None:
    """What a document in the documentation is a request for; None for answers."""
    if "recipient" in document:
        return SendRequest
    if "content" in document:
        return TemplateCreate
    return PreferencesView if "categories" in document else None


@pytest.mark.parametrize(
    ("page", "model"),
    [("api.md", SendRequest), ("api.md", Recipient), ("templates.md", TemplateCreate)],
)
def test_every_field_is_described(page: str, model: type[BaseModel]) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    missing = [name for name in model.model_fields if f"`{name}`" not in text]
    assert not missing


def test_every_field_of_every_channel_is_described() -> None:
    text = (DOCS / "reference/templates.md").read_text(encoding="utf-8")
    definitions = TemplateContent.model_json_schema()["$defs"]
    fields = {name for source in definitions.values() for name in source.get("properties", ())}
    missing = [name for name in {*TemplateContent.model_fields, *fields} if f"`{name}`" not in text]
    assert not missing


def test_the_contract_is_the_same_everywhere() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8")
    sent = shown.partition("-d '")[2].partition("'")[0]
    assert json.loads(sent) == EXAMPLE == CONTRACT
