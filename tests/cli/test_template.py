"""`tidings template`, and templates as folders."""

import json
import tempfile
import tomllib
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cli.conftest import Cli, write_template
from tidings.cli import template_folder, toml_text
from tidings.cli.source_files import FolderError
from tidings.cli.template_document import Template

FILES = {
    "template.toml": 'name = "Welcome"\ncategory = "onboarding"\non_unknown = "hold"\n',
    "email.subject.txt": "Hello {{ name }}\n",
    "email.html": "<p>Hello {{ name }}</p>\n<p>Bye</p>\n",
    "email.text.txt": "Hello {{ name }}\n\n",
    "email.reply_to.txt": "help@example.com\n",
    "sms.txt": "Hi {{ name }}\n",
    "chat.txt": "Hi {{ name }}\n",
    "push.toml": 'title = "Hi"\nbody = """\nHello {{ name }}\n"Bye\\""""\n',
    "in_app.toml": 'title = "Hi"\nbody = "Hello"\nurl = "https://example.com"\n',
    "webhook.json": '{\n  "n": [\n    1,\n    null\n  ],\n  "name": "{{ name }}"\n}\n',
    "webhook.type.txt": "user.welcomed\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A template with everything, of a name of its own."""
    made = tmp_path / f"welcome-{uuid.uuid4().hex}"
    write_template(made, FILES)
    return made


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def test_push_creates_updates_and_leaves_alone(tidings: Cli, folder: Path) -> None:
    def push(path: Path) -> tuple[str, int]:
        document = tidings("template", "push", path, "--json").document
        assert document["id"] == folder.name
        return document["result"], document["version"]

    assert push(folder) == ("created", 1)
    assert push(folder) == ("unchanged", 1)
    assert push(folder.parent) == ("unchanged", 1)
    (folder / "sms.txt").write_text("Hey {{ name }}")
    assert push(folder / "email.html") == ("updated", 2)
    (folder / "chat.txt").unlink()
    assert push(folder) == ("updated", 3)
    assert "unchanged" in tidings("template", "push", folder).out


def test_pull_writes_what_was_pushed(tidings: Cli, folder: Path, tmp_path: Path) -> None:
    tidings("template", "push", folder)
    pulled = tmp_path / "pulled"

    def pull() -> str:
        result: str = tidings("template", "pull", pulled, folder.name, "--json").document["result"]
        return result

    assert pull() == "created"
    assert contents(pulled / folder.name) == contents(folder)
    assert pull() == "unchanged"
    (pulled / folder.name / "sms.txt").write_text("changed")
    (pulled / folder.name / "README.md").write_text("mine")
    assert pull() == "updated"
    assert contents(pulled / folder.name) == {**contents(folder), "README.md": "mine"}
    (pulled / folder.name / "push.toml").write_text("= broken")
    assert pull() == "updated"
    (folder / "push.toml").unlink()
    tidings("template", "push", folder)
    assert pull() == "updated"
    assert not (pulled / folder.name / "push.toml").exists()
    tidings("template", "pull", pulled)
    assert "no template" in tidings("template", "pull", pulled, "none", status=1).err


def test_pull_leaves_files_alone_that_say_the_same(tidings: Cli, folder: Path) -> None:
    """Comments, and the order of members, which the server does not keep."""
    written = {
        "template.toml": '# ours\non_unknown = "hold"\ncategory = "onboarding"\nname = "Welcome"\n',
        "webhook.json": '{"name": "{{ name }}", "n": [1, null]}',
        "sms.txt": "changed here",
    }
    tidings("template", "push", folder)
    write_template(folder, written)
    tidings("template", "pull", folder.parent, folder.name)
    assert contents(folder) == {**FILES, **written, "sms.txt": FILES["sms.txt"]}


@pytest.mark.parametrize("payload", ["null", '{"a": null}', "[null]", '"{{ name }}"', "false"])
def test_any_payload_is_kept(tidings: Cli, tmp_path: Path, payload: str) -> None:
    folder = tmp_path / f"hook-{uuid.uuid4().hex}"
    write_template(folder, {"template.toml": "", "webhook.json": payload})
    results = [tidings("template", "push", folder, "--json").document["result"] for _ in range(2)]
    assert results == ["created", "unchanged"]
    tidings("template", "pull", tmp_path / "pulled", folder.name)
    pulled = template_folder.read(tmp_path / "pulled" / folder.name)
    assert pulled == template_folder.read(folder)
    assert "webhook" in pulled.content


def test_list(tidings: Cli, folder: Path) -> None:
    tidings("template", "push", folder)
    listed = {one["id"]: one for one in tidings("template", "list", "--json").documents}
    assert listed[folder.name]["content"]["sms"] == {"body": "Hi {{ name }}"}
    line = next(
        line for line in tidings("template", "list").out.splitlines() if folder.name in line
    )
    assert "Welcome" in line
    assert "onboarding" in line


def test_every_mistake_has_its_file_and_line(tidings: Cli, folder: Path) -> None:
    (folder / "email.html").write_text("<p>\n\n{{ name }</p>\n")
    (folder.parent / "good").mkdir()
    write_template(folder.parent / "good", {"template.toml": "", "sms.txt": uuid.uuid4().hex})
    ended = tidings("template", "push", folder.parent, status=1)
    assert f"{folder}/email.html:3:1: unexpected '}}'" in ended.err
    assert "good" in ended.out
    document = tidings("template", "push", folder, "--json", status=1).document
    assert document["result"] == "refused"
    assert document["problems"] == [
        {
            "file": f"{folder}/email.html",
            "line": 3,
            "column": 1,
            "message": document["problems"][0]["message"],
        }
    ]


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"push.toml": 'title = "x"\nbody = """\na\nb {{ x }\n"""\n'}, "push.toml:4:"),
        ({"push.toml": 'body = "{{ x }"\ntitle = "x"\n'}, "push.toml:1:"),
        ({"push.toml": 'title = "x"\n'}, "push.toml:"),
        ({"push.toml": 'title = "x"\nbody = 1\n'}, "push.toml:2: body must be a text"),
        ({"push.toml": 'title = "x"\n\nbdy = "x"\n'}, "push.toml:3: bdy is not known"),
        ({"push.toml": 'title = "x"\nbody = \n'}, "push.toml:2: not TOML"),
        ({"template.toml": 'nme = "x"\n'}, "template.toml:1: nme is not known"),
        ({"template.toml": 'name = "x"\ncategory = "a b"\n'}, "template.toml:2: category: "),
        ({"template.toml": 'on_unknown = "maybe"\n'}, "template.toml:1:"),
        ({"webhook.json": '{\n"a": }\n'}, "webhook.json:2: not JSON"),
        ({"webhook.json": '{"a": "{{ x }"}\n'}, "webhook.json: payload.a: "),
        ({"email.htm": "x"}, "email.htm: not a template's file"),
        ({"email.html": ""}, "email.html: "),
        ({"email.html": "x"}, "email.subject.txt: "),
        ({"sms.txt": "a\n\n{% if %}"}, "sms.txt:3:1: "),
        (
            {"email.html": "x", "email.mjml": "x", "email.subject.txt": "x"},
            "email.mjml: is the email's body, as email.html is: keep one of them",
        ),
        (
            {"de/email.md": "x", "de/email.html": "x"},
            "de/email.md: is the email's body, as email.h",
        ),
        ({"de-at/sms.txt": "x", "de_AT/sms.txt": "x"}, "is the language de-AT, as de-at is: keep"),
        ({"pictures/logo.txt": "x"}, "pictures: is not the tag of a language"),
    ],
)
def test_mistakes(tidings: Cli, tmp_path: Path, files: dict[str, str], where: str) -> None:
    folder = tmp_path / "t"
    write_template(folder, {"template.toml": "", "chat.txt": "x", **files})
    err = tidings("template", "push", folder, status=1).err
    assert err.startswith(str(folder))
    assert where in err, err


def test_what_is_not_text_is_a_mistake(tmp_path: Path) -> None:
    write_template(tmp_path / "t", {"template.toml": ""})
    (tmp_path / "t" / "sms.txt").write_bytes(b"a\nb\xff")
    with pytest.raises(FolderError, match=r"sms\.txt:2: not UTF-8"):
        template_folder.read(tmp_path / "t")


def test_a_folder_without_templates(alone: Cli, tmp_path: Path) -> None:
    ended = alone("template", "push", tmp_path, status=1)
    assert "a template is a folder with a template.toml" in ended.err


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.text(
    "\"\\'\n\r\t a\x00\x7f\u2028", min_size=1, max_size=12
)


@example({"body": '\n"""'})
@given(st.dictionaries(st.sampled_from(["title", "body", "url"]), TEXT))
def test_toml_reads_back_as_it_was(values: dict[str, str]) -> None:
    assert tomllib.loads(toml_text.dump(values)) == values


def _tables(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)


@example({"web": {"actions": [{"action": "open", "title": "a\nb"}]}, "badge": 0, "a.b": {}})
@given(
    st.dictionaries(
        TEXT, st.recursive(st.booleans() | st.integers(0, 2**63 - 1) | TEXT, _tables), max_size=4
    )
)
def test_toml_reads_back_tables_as_they_were(values: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text.dump(values)) == values


def test_options_of_email_and_push_are_kept_in_the_folder(tmp_path: Path) -> None:
    options = {
        "title": "Hi",
        "body": "Hello",
        "ttl": 0,
        "badge": 0,
        "data": {"order": "{{ order }}"},
        "ios": {"mutable_content": True},
        "web": {"actions": [{"action": "open", "title": "Open"}]},
    }
    email = {"subject": "S", "text": "T", "headers": {"X-Order": "{{ order }}"}, "tags": ["a"]}
    content: dict[str, dict[str, Any]] = {"email": email, "push": options}
    template = Template("t", "t", "transactional", "resend", content)
    template_folder.write(tmp_path / "t", template)
    assert template_folder.read(tmp_path / "t").content == content


JSON = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NOTICE = st.fixed_dictionaries({"title": TEXT, "body": TEXT}, optional={"url": TEXT})
CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "email": st.fixed_dictionaries(
            {"subject": TEXT}, optional={"html": TEXT, "text": TEXT, "reply_to": TEXT}
        ),
        "sms": st.fixed_dictionaries({"body": TEXT}),
        "chat": st.fixed_dictionaries({"body": TEXT}),
        "push": NOTICE,
        "in_app": NOTICE,
        "webhook": st.fixed_dictionaries({}, optional={"payload": JSON, "type": TEXT}),
    },
)


@given(TEXT, st.sampled_from(["resend", "hold"]), CONTENT, CONTENT)
def test_a_folder_reads_back_as_it_was_written(
    name: str, on_unknown: str, before: dict[str, Any], content: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "template"
        template_folder.write(folder, Template("template", "old", "x", "hold", before))
        template = Template("template", name, "transactional", on_unknown, content)
        template_folder.write(folder, template)
        assert template_folder.read(folder) == template
        assert json.dumps(template.document())


@given(CONTENT, CONTENT, CONTENT)
def test_a_folder_keeps_languages(
    before: dict[str, Any], content: dict[str, Any], translated: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "template"
        old = Template("template", "old", "x", "hold", {}, locales={"fr": before, "de": before})
        template_folder.write(folder, old)
        locales = {"de": translated, "zh-Hant": content}
        template = Template("template", "n", "x", "hold", content, 60, "en", locales)
        template_folder.write(folder, template)
        given_ = {tag: one for tag, one in locales.items() if one}
        assert template_folder.read(folder) == replace(template, locales=given_)


def test_languages_are_pushed_pulled_and_blamed(tidings: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / "template.toml").write_text('locale = "en"\ndeduplicate_seconds = 60\n')
    write_template(folder / "de_at", {"sms.txt": "Servus {{ name }}\n"})

    def push() -> str:
        result: str = tidings("template", "push", folder, "--json").document["result"]
        return result

    assert [push(), push()] == ["created", "unchanged"]
    tidings("template", "pull", tmp_path / "pulled", folder.name)
    assert template_folder.read(tmp_path / "pulled" / folder.name) == template_folder.read(folder)
    (folder / "de_at" / "sms.txt").write_text("a\n{{ name|nofilter }}\n")
    ended = tidings("template", "push", folder, status=1)
    assert f"{folder}/de_at/sms.txt:2:9: No filter named 'nofilter'" in ended.err


def test_a_text_loses_only_its_last_line_feed(tmp_path: Path) -> None:
    for written, read in (("a\n", "a"), ("a\r\n", "a\r"), ("a\n\n", "a\n"), ("a", "a"), ("\n", "")):
        write_template(tmp_path / "t", {"template.toml": "", "sms.txt": written})
        assert template_folder.read(tmp_path / "t").content["sms"]["body"] == read
