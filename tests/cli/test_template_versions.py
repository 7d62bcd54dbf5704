"""`tidings template`: plans, versions, previews and test sends."""

import json
import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_template
from tidings.cli import template_folder

NAME = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "templates" / f"greeting-{uuid.uuid4().hex}"
    write_template(
        made,
        {
            "template.toml": 'name = "Greeting"\n',
            "variables.json": json.dumps(NAME),
            "sample.json": '{"name": "Ann"}',
            "sms.txt": "Hello {{ name }}\n",
            "email.subject.txt": "Hello {{ name }}\n",
            "email.text.txt": "Hello\n",
        },
    )
    write_template(made / "de", {"sms.txt": "Hallo {{ name }}\n"})
    return made


def test_a_plan_is_only_shown(tidings: Cli, folder: Path) -> None:
    planned = tidings("template", "push", folder, "--plan")
    assert f"create template {folder.name}" in planned.out
    assert "There is no template" in tidings("template", "preview", folder.name, status=1).err
    tidings("template", "push", folder)
    (folder / "sms.txt").write_text("Hi {{ name }}\n")
    shown = tidings("template", "push", folder, "--plan").out
    for line in ("--- server/sms.txt", "+++ folder/sms.txt", "-Hello {{ name }}", "+Hi {{ name }}"):
        assert line in shown.splitlines()
    document = tidings("template", "push", folder, "--plan", "--json").document
    assert (document["result"], document["version"]) == ("update", 1)
    assert tidings("template", "diff", folder).out == shown
    pushed = tidings("template", "push", folder, "--json").document
    assert (pushed["result"], pushed["version"]) == ("updated", 2)
    again = tidings("template", "push", folder)
    assert "Nothing was to be done." in again.out
    assert "Nothing to do." in tidings("template", "diff", folder).out


@pytest.mark.parametrize("window", ["3600", '"cadence"'])
def test_a_digest_is_kept(tidings: Cli, folder: Path, tmp_path: Path, window: str) -> None:
    (folder / "template.toml").write_text(f"digest_window = {window}\n")
    for file in ("sms.txt", "email.subject.txt", "de/sms.txt"):
        (folder / file).write_text("{{ count }} new: {{ first.name }}\n")
    results = [tidings("template", "push", folder, "--json").document["result"] for _ in range(2)]
    assert results == ["created", "unchanged"]
    tidings("template", "pull", tmp_path / "pulled", folder.name)
    assert template_folder.read(tmp_path / "pulled" / folder.name) == template_folder.read(folder)


def test_the_engine_is_kept(tidings: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / "template.toml").write_text('engine = "liquid"\n')
    (folder / "sms.txt").write_text("{{ name | upcase }}\n")
    results = [tidings("template", "push", folder, "--json").document["result"] for _ in range(2)]
    assert results == ["created", "unchanged"]
    tidings("template", "pull", tmp_path / "pulled", folder.name)
    pulled = template_folder.read(tmp_path / "pulled" / folder.name)
    assert pulled == template_folder.read(folder)
    assert pulled.engine == "liquid"


def test_data_files_go_there_and_back(tidings: Cli, folder: Path, tmp_path: Path) -> None:
    tidings("template", "push", folder)
    tidings("template", "pull", tmp_path / "pulled", folder.name)
    pulled = template_folder.read(tmp_path / "pulled" / folder.name)
    assert pulled == template_folder.read(folder)
    assert (pulled.variables, pulled.sample) == (NAME, {"name": "Ann"})


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("variables.json", '{"type": "array"}', "variables.json: variables.type: must be object"),
        ("variables.json", "[]", "variables.json: must be a JSON object"),
        ("sample.json", "{}", "sample.json: sample.name: is required"),
        ("sms.txt", "a\n{{ nmae }}", "sms.txt:2:4: it cannot be rendered"),
        ("de/sms.txt", "a\n\n{{ nmae }}", "de/sms.txt:3:4: it cannot be rendered"),
        ("de/sample.json", "{}", "de/sample.json: belongs to the template"),
    ],
)
def test_mistakes_have_their_file(
    tidings: Cli, folder: Path, file: str, text: str, said: str
) -> None:
    (folder / file).write_text(text)
    assert f"{folder}/{said}" in tidings("template", "push", folder, status=1).err


def test_warnings_are_shown(tidings: Cli, folder: Path) -> None:
    (folder / "sms.txt").write_text("x" * 161 + "{{ name }}")
    ended = tidings("template", "push", folder)
    assert f"warning: {folder / 'sms.txt'}: 2 parts (164 units of gsm7)" in ended.err
    previewed = tidings("template", "preview", folder.name, "--channel", "sms")
    assert "sms: 2 part(s), 164 units of gsm7" in previewed.out


def test_drafts_are_published_and_rolled_back(tidings: Cli, folder: Path) -> None:
    def current() -> int:
        version: int = tidings("template", "versions", folder.name, "--json").document[
            "current_version"
        ]
        return version

    name = folder.name
    tidings("template", "push", folder)
    (folder / "sms.txt").write_text("Servus {{ name }}\n")
    assert tidings("template", "push", folder, "--draft", "--json").document["version"] == 2
    again = tidings("template", "push", folder, "--draft", "--json").document
    assert (again["result"], current()) == ("unchanged", 1)
    assert "draft" in tidings("template", "versions", name).out
    shown = tidings("template", "diff", "--id", name).out.splitlines()
    assert "-Hello {{ name }}" in shown
    assert "+Servus {{ name }}" in shown
    tidings("template", "publish", name)
    assert current() == 2
    assert "v1 is the current version" in tidings("template", "rollback", name).out
    assert current() == 1
    assert "No older version" in tidings("template", "rollback", name, status=1).err
    tidings("template", "publish", name, "--version", "2")
    assert current() == 2


def test_a_template_of_drafts_is_published_by_a_push(tidings: Cli, folder: Path) -> None:
    results = [
        tidings("template", "push", folder, *more, "--json").document["result"]
        for more in (["--draft"], [], [])
    ]
    assert results == ["created", "published", "unchanged"]


def test_what_is_archived_is_restored_by_a_push(tidings: Cli, folder: Path) -> None:
    tidings("template", "push", folder)
    tidings("template", "archive", folder.name)
    assert "Archived since" in tidings("template", "versions", folder.name).out
    tidings("template", "push", folder)
    assert "Archived since" not in tidings("template", "versions", folder.name).out
    tidings("template", "archive", folder.name)
    tidings("template", "restore", folder.name)
    assert "Archived since" not in tidings("template", "versions", folder.name).out


def test_what_no_folder_has_is_planned_to_be_archived(tidings: Cli, folder: Path) -> None:
    """Only planned: the other tests' templates are on this server too."""
    tidings("template", "push", folder)
    other = folder.with_name(f"other-{uuid.uuid4().hex}")
    write_template(other, {"template.toml": "", "sms.txt": "x"})
    planned = tidings("template", "push", other, "--prune", "--plan", "--json").documents
    results = {one["id"]: one["result"] for one in planned}
    assert (results[folder.name], results[other.name]) == ("archive", "create")


def test_translations_and_variables(tidings: Cli, folder: Path) -> None:
    tidings("template", "push", folder)
    missing = tidings("template", "translations", folder.name, status=1).out
    assert "email.subject, email.text" in missing
    write_template(folder / "de", {"email.subject.txt": "Hallo\n", "email.text.txt": "Hallo\n"})
    tidings("template", "push", folder)
    assert "complete" in tidings("template", "translations", folder.name).out
    assert json.loads(tidings("template", "variables", folder.name).out) == NAME


def test_preview(tidings: Cli, folder: Path, tmp_path: Path) -> None:
    tidings("template", "push", folder)
    name = folder.name
    assert "Hello Ann" in tidings("template", "preview", name).out
    german = tidings("template", "preview", name, "--locale", "de-AT", "--data", '{"name": "Bo"}')
    assert "Hallo Bo" in german.out
    (tmp_path / "data.json").write_text('{"name": "Cy"}')
    document = tidings(
        "template", "preview", name, "--data", f"@{tmp_path}/data.json", "--json"
    ).document
    assert document["rendered"]["sms"]["body"] == "Hello Cy"
    assert "no email of HTML" in tidings("template", "preview", name, "--html", status=1).err
    assert "Hello" not in tidings("template", "preview", name, "--channel", "push").out
    failed = tidings("template", "preview", name, "--data", "{}", status=1)
    assert "data.name is required" in failed.err
    assert "sms, line 1, column 10: sms.body: 'name' is undefined" in failed.err
    for wrong in ("{", "[]", "@/nowhere"):
        assert "--data" in tidings("template", "preview", name, "--data", wrong, status=1).err


def test_a_test_is_sent(tidings: Cli, folder: Path) -> None:
    tidings("template", "push", folder)
    (folder / "email.subject.txt").write_text("Draft for {{ name }}\n")
    tidings("template", "push", folder, "--draft")
    to = ("--email", "ann@example.com", "--channel", "email")
    sent = tidings("template", "test", folder.name, "--version", "2", *to, "--json").document
    assert sent["version"] == 2
    status = tidings(
        "status", sent["notification_id"], "--follow", "--interval", "0.1", "--json"
    ).documents[-1]
    assert (status["status"], status["template_version"]) == ("delivered", 2)
    wrong = tidings("template", "test", folder.name, *to, "--data", "{}", status=1)
    assert "data.name is required" in wrong.err
    unaddressed = tidings("template", "test", folder.name, status=1)
    assert "Give --email, --phone or --user." in unaddressed.err


def test_what_is_not_there_is_named(tidings: Cli, folder: Path) -> None:
    name = folder.name
    for command in ("versions", "publish", "rollback", "archive", "restore", "variables"):
        missing = tidings("template", command, name, status=1)
        assert f"There is no template '{name}'." in missing.err
    assert f"no template '{name}'" in tidings("template", "diff", "--id", name, status=1).err
    tidings("template", "push", folder)
    for arguments in (["publish", name, "--version", "9"], ["diff", "--id", name, "--after", "9"]):
        missing = tidings("template", *arguments, status=1)
        assert f"There is no version 9 of a template '{name}'." in missing.err
    assert "Nothing differs." in tidings("template", "diff", "--id", name).out


def test_archived_templates_are_listed_apart(tidings: Cli, folder: Path) -> None:
    tidings("template", "push", folder)
    assert folder.name not in tidings("template", "list", "--archived").out
    tidings("template", "archive", folder.name)
    assert folder.name in tidings("template", "list", "--archived").out
    assert folder.name not in tidings("template", "list").out
