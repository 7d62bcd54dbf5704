"""What templates share, in the folders of `tidings template`."""

import shutil
import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Serving, on_a_terminal, write_template
from tests.cli.cutting import cutting
from tidings.cli.client import Api

BRANDED = Path(__file__).parents[2] / "examples/branded/templates"


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def layout() -> str:
    return unique("page")


@pytest.fixture
def template() -> str:
    return unique("hello")


@pytest.fixture
def folder(tmp_path: Path, layout: str, template: str) -> Path:
    """A layout and a template that is put into it."""
    made = tmp_path / "templates"
    write_template(
        made,
        {
            f"layouts/{layout}.html": "<html><body>{{ content }}</body></html>\n",
            f"{template}/template.toml": 'name = "Hello"\n',
            f"{template}/email.subject.txt": "Hello\n",
            f"{template}/email.html": "<p>Hello</p>\n",
            f"{template}/email.layout.txt": f"{layout}\n",
            f"{template}/sms.txt": "Hello\n",
        },
    )
    return made


def results(tidings: Cli, *arguments: str | Path, status: int = 0) -> dict[str, str]:
    """What `tidings template …` says of each."""
    documents = tidings("template", *arguments, "--json", status=status).documents
    return {one["id"]: one["result"] for one in documents}


def test_the_example_is_pushed_and_pulled_as_a_whole(tidings: Cli, tmp_path: Path) -> None:
    first = tidings("template", "push", BRANDED, "--json").documents
    shared = ["brand", "words-ar", "words-de", "words", "main", "notice"]
    assert [one["id"] for one in first][:6] == shared
    assert [one["kind"] for one in first][6:] == ["template"] * 10
    assert set(results(tidings, "push", BRANDED, "--check").values()) == {"unchanged"}
    pulled = results(tidings, "pull", tmp_path)
    assert {pulled[one.parent.name] for one in BRANDED.glob("*/template.toml")} == {"created"}
    files = [path.relative_to(BRANDED) for path in BRANDED.rglob("*") if path.is_file()]
    for name in files:
        if name.suffix not in {".toml", ".json"}:
            pulled_text = (tmp_path / name).read_text().removesuffix("\n")
            assert pulled_text == (BRANDED / name).read_text().removesuffix("\n")
    assert (tmp_path / "brand.json").read_text() == (BRANDED / "brand.json").read_text()
    assert set(results(tidings, "pull", tmp_path).values()) == {"unchanged"}


def test_templates_keep_a_layout_until_they_are_refreshed(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    tidings("template", "push", folder)
    (folder / f"layouts/{layout}.html").write_text("<html><body>New {{ content }}</body></html>\n")
    planned = tidings("template", "push", folder, "--plan").out
    assert f"update layout {layout}" in planned
    assert "+<html><body>New {{ content }}</body></html>" in planned.splitlines()
    refreshing = tidings("template", "push", folder, "--refresh", "--check", status=3).out
    assert f"refresh template {template} (layout/{layout})" in refreshing
    pushed = tidings("template", "push", folder)
    assert f"Published with older parts: {template} (layout/{layout})." in pushed.err
    assert template in tidings("template", "outdated").out
    assert "New" not in tidings("template", "preview", template, "--json").out

    tidings("template", "push", folder, "--check")
    done = tidings("template", "push", folder, "--refresh", "--json").documents
    assert [(one["result"], one["version"]) for one in done] == [("unchanged", 2), ("refreshed", 2)]
    assert "<body>New <p>Hello</p>" in tidings("template", "preview", template, "--html").out
    assert template not in tidings("template", "outdated", "--json").out
    assert (
        f"+layout/{layout} v2" in tidings("template", "diff", "--id", template, "--before", "1").out
    )
    tidings("template", "push", folder, "--refresh", "--check")


def test_what_is_shared_is_listed_with_its_users(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    tidings("template", "push", folder)
    listed = {one["id"]: one for one in tidings("template", "shared", "--json").documents}
    assert listed[layout] == {"kind": "layout", "id": layout, "version": 1, "used_by": [template]}
    [line] = [line for line in tidings("template", "shared").out.splitlines() if layout in line]
    assert line.split() == ["layout", layout, "v1", "1"]


def test_templates_are_refreshed_without_their_folders(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    tidings("template", "push", folder)
    (folder / f"layouts/{layout}.html").write_text("<html><body>{{ content }}.</body></html>\n")
    tidings("template", "push", folder / "layouts")
    assert results(tidings, "refresh", template, "--check", status=3) == {template: "refresh"}
    assert results(tidings, "refresh")[template] == "refreshed"
    assert results(tidings, "refresh", template) == {template: "unchanged"}
    assert "There is no template 'none'" in tidings("template", "refresh", "none", status=1).err
    wrong = tidings("template", "push", folder, "--draft", "--refresh", status=1)
    assert "--refresh publishes, and --draft does not." in wrong.err


def test_a_draft_of_older_parts_is_stored_anew_when_it_is_published(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    tidings("template", "push", folder, "--draft")
    (folder / f"layouts/{layout}.html").write_text("<html><body>{{ content }}!</body></html>\n")
    tidings("template", "push", folder / "layouts" / f"{layout}.html")
    assert results(tidings, "refresh", template) == {template: "unchanged"}
    assert results(tidings, "push", folder, "--plan")[template] == "publish"
    assert results(tidings, "push", folder, "--refresh")[template] == "updated"
    assert template not in tidings("template", "outdated", "--json").out


def test_templates_wait_for_what_they_share(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    file = folder / f"layouts/{layout}.html"
    file.write_text("<html>\n{{ content }}\n{{ content }}\n</html>\n")
    ended = tidings("template", "push", folder, status=1)
    assert str(file) in ended.err
    assert "What is waiting was not done: it may need what is refused." in ended.err
    assert "waiting" in ended.out
    assert "There is no template" in tidings("template", "refresh", template, status=1).err
    file.write_text("<html>\n{{ content }}\n</html>\n")
    assert results(tidings, "push", folder) == {layout: "created", template: "created"}


def test_a_plan_tells_what_would_be_refused(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    """The layout is not on the server, and is looked at with the template all the same."""
    assert results(tidings, "push", folder, "--check", status=3) == {
        layout: "create",
        template: "create",
    }
    body = folder / template / "email.html"
    body.write_text("<p>\n{{ name | nofilter }}</p>\n")
    ended = tidings("template", "push", folder, "--check", status=1)
    assert f"{body}:2:11: No filter named 'nofilter'" in ended.err
    file = folder / f"layouts/{layout}.html"
    file.write_text("<html>\n{% if %}{{ content }}</html>\n")
    ended = tidings("template", "push", folder, "--plan", status=1)
    assert f"{file}:2:1: " in ended.err
    assert str(body) not in ended.err
    assert f"'{template}'" in tidings("template", "versions", template, status=1).err
    assert layout not in tidings("template", "pull", folder.parent / "none", "--plan").out


def test_warnings_come_before_anything_is_stored(tidings: Cli, folder: Path, template: str) -> None:
    (folder / template / "sms.txt").write_text("x" * 161)
    planned = tidings("template", "push", folder, "--plan")
    assert f"warning: {folder / template / 'sms.txt'}: 2 parts" in planned.err


@pytest.mark.parametrize(("typed", "pushes"), [(b"n\n", False), (b"y\n", True)])
def test_a_person_is_asked_before_a_push(
    tidings: Cli, serving: Serving, folder: Path, template: str, typed: bytes, pushes: bool
) -> None:
    arguments = ("template", "push", str(folder))
    shown = on_a_terminal(*arguments, variables=serving.variables, typed=typed)
    assert "2 to create. Do it?" in shown
    listed = tidings("template", "list", "--json").out
    assert (template in listed) is pushes


def test_a_push_that_breaks_off_says_what_is_done_and_goes_on(
    tidings: Cli,
    serving: Serving,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    layout: str,
    template: str,
) -> None:
    (folder / template / "email.html").write_text(f"<p>{'Hello ' * 20_000}</p>\n")
    with cutting(serving.port, [60_000]) as port:
        monkeypatch.setenv("TIDINGS_URL", f"http://127.0.0.1:{port}")
        ended = tidings("template", "push", folder, "--json", status=1)
        assert {one["id"]: one["result"] for one in ended.documents} == {
            layout: "created",
            template: "waiting",
        }
        assert "broke off" in ended.err
        assert "Run the same again: it goes on with what is waiting." in ended.err
        again = results(tidings, "push", folder)
        assert again == {layout: "unchanged", template: "created"}


def test_a_push_that_is_interrupted_says_what_is_done(
    tidings: Cli, monkeypatch: pytest.MonkeyPatch, folder: Path, layout: str, template: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Api, "post", interrupted)
    ended = tidings("template", "push", folder, "--json", status=1)
    done = {one["id"]: one["result"] for one in ended.documents}
    assert done == {layout: "created", template: "waiting"}
    assert "Interrupted." in ended.err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"layouts/main.html": "", "layouts/main.mjml": ""}, "main.mjml: is the layout main, as "),
        ({"layouts/main.htm": ""}, "main.htm: is no layout; those are files ID.html or ID.mjml"),
        ({"partials/words.html": ""}, "words.html: is no partial; those are files ID.txt"),
        ({"partials/a/b.txt": ""}, "partials/a: is no partial"),
        ({"layouts/main.html": "<p>"}, "main.html:1:1: "),
        ({"partials/w.txt": "a\n{% if %}"}, "w.txt:2:1: "),
        ({"layouts/a b.html": "{{ content }}"}, "a b.html: "),
        ({"brand.json": "[]"}, "brand.json: must be a JSON object"),
        ({"brand.json": '{\n"a": }'}, "brand.json:2: not JSON"),
    ],
)
def test_mistakes(tidings: Cli, tmp_path: Path, files: dict[str, str], said: str) -> None:
    write_template(tmp_path, files)
    assert said in tidings("template", "push", tmp_path, status=1).err


def test_two_folders_of_one_template_are_refused(tidings: Cli, tmp_path: Path) -> None:
    for around in ("old", "new"):
        write_template(tmp_path / around / "hello", {"template.toml": "", "sms.txt": around})
    ended = tidings("template", "push", tmp_path / "old", tmp_path / "new", status=1)
    assert f"{tmp_path}/new/hello: is the template hello, as {tmp_path}/old/hello is" in ended.err
    (tmp_path / "empty").mkdir()
    assert "nothing to push here" in tidings("template", "push", tmp_path / "empty", status=1).err


def test_what_is_shared_is_removed_when_nothing_uses_it(
    tidings: Cli, folder: Path, layout: str, template: str
) -> None:
    """The results of the others' layouts, on the same server, do not matter."""
    partial = unique("words")
    write_template(folder, {f"partials/{partial}.txt": "Bye\n"})
    tidings("template", "push", folder)
    used = folder / f"layouts/{layout}.html"
    used.rename(folder / "layouts" / f"{layout}-2.html")
    (folder / f"partials/{partial}.txt").unlink()
    planned = tidings("template", "push", folder / "layouts", "--prune", "--plan", status=1)
    assert f"remove partial {partial}" in planned.out
    assert f"layouts/{layout}.html: is not in these folders, and not removed" in planned.err
    assert f"used by {template}" in planned.err

    (folder / template / "email.layout.txt").write_text(f"{layout}-2\n")
    tidings("template", "push", folder)
    pruned = {
        (one["kind"], one["id"]): one["result"]
        for one in tidings.tried(
            "template", "push", folder / "layouts", "--prune", "--json"
        ).documents
    }
    assert pruned["layout", layout] == "removed"
    assert pruned["partial", partial] == "removed"
    assert pruned["layout", f"{layout}-2"] == "unchanged"
    assert ("template", template) not in pruned


def test_pull_replaces_a_layout_of_another_kind(
    tidings: Cli, folder: Path, layout: str, tmp_path: Path
) -> None:
    tidings("template", "push", folder)
    pulled = tmp_path / "pulled"
    mjml = pulled / "layouts" / f"{layout}.mjml"
    write_template(pulled, {f"layouts/{layout}.mjml": "<mjml>{{ content }}</mjml>"})
    assert results(tidings, "pull", pulled)[layout] == "updated"
    assert not mjml.exists()
    assert (pulled / f"layouts/{layout}.html").read_text() == (
        folder / f"layouts/{layout}.html"
    ).read_text()


@pytest.fixture
def stale(tidings: Cli, folder: Path, tmp_path: Path, template: str, layout: str) -> Path:
    """A folder that was pulled, with more in it than the server has."""
    tidings("template", "push", folder)
    pulled = tmp_path / "pulled"
    tidings("template", "pull", pulled)
    files = {"template.toml": "", "sms.txt": "x", "de/sms.txt": "x", "notes.md": "mine"}
    write_template(pulled / "gone", files)
    write_template(pulled / "empty", {"template.toml": "", "sms.txt": "x", "de/sms.txt": "x"})
    write_template(pulled / "pictures", {"logo.svg": "mine"})
    write_template(pulled, {"layouts/gone.html": "{{ content }}", "layouts/README.md": "mine"})
    return pulled


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_pull_deletes_what_the_server_does_not_have(tidings: Cli, stale: Path) -> None:
    before = everything(stale)
    assert set(results(tidings, "pull", stale).values()) == {"unchanged"}
    planned = tidings("template", "pull", stale, "--prune", "--plan")
    assert f"delete {stale}/gone/sms.txt" in planned.out.splitlines()
    refused = tidings("template", "pull", stale, "--prune", status=1)
    assert "--prune would delete 7 files, and nobody can be asked." in refused.err
    assert everything(stale) == before

    pruned = tidings("template", "pull", stale, "--prune", "--yes")
    assert f"{stale}/gone stays, with files of yours: notes.md" in pruned.err
    deleted = {
        *("gone/template.toml", "gone/sms.txt", "gone/de", "gone/de/sms.txt"),
        *("empty", "empty/template.toml", "empty/sms.txt", "empty/de", "empty/de/sms.txt"),
        "layouts/gone.html",
    }
    assert before - everything(stale) == deleted
    assert "Leave out the IDs" in tidings("template", "pull", stale, "x", "--prune", status=1).err


@pytest.mark.parametrize(("typed", "deletes"), [(b"n\n", False), (b"y\n", True)])
def test_a_person_is_asked_before_files_are_deleted(
    serving: Serving, stale: Path, typed: bytes, deletes: bool
) -> None:
    shown = on_a_terminal(
        "template", "pull", str(stale), "--prune", variables=serving.variables, typed=typed
    )
    assert "Delete 7 files?" in shown
    assert (stale / "gone/sms.txt").exists() is not deletes
    assert (stale / "gone/notes.md").exists()


def test_an_archived_template_is_deleted_too(
    tidings: Cli, folder: Path, template: str, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    tidings("template", "push", folder)
    tidings("template", "archive", template)
    done = results(tidings, "pull", tmp_path / "copy", "--prune", "--yes")
    assert done[template] == "deleted"
    assert not (tmp_path / "copy" / template).exists()


def test_a_template_may_have_the_name_of_a_folder_of_ours(
    tidings: Cli, folder: Path, tmp_path: Path
) -> None:
    tidings("template", "push", folder)
    odd = tmp_path / "odd"
    write_template(odd, {"layouts/template.toml": "", "layouts/sms.txt": "Hello\n"})
    try:
        assert results(tidings, "push", odd)["layouts"] in {"created", "updated", "restored"}
        assert results(tidings, "pull", odd, "layouts") == {"layouts": "unchanged"}
        for arguments in ([tmp_path / "new"], [folder, "layouts"], [odd]):
            ended = tidings("template", "pull", *arguments, status=1)
            assert "cannot be both a template and the folder of layouts" in ended.err
    finally:
        tidings("template", "archive", "layouts")
    assert not (tmp_path / "new").exists()


def test_a_mistake_in_what_is_shared_is_told_in_its_own_file(tidings: Cli, folder: Path) -> None:
    """Also where the template's own files are right, and only the two together are wrong."""
    partial = unique("words")
    (template,) = [one.parent.name for one in folder.glob("*/template.toml")]
    write_template(
        folder,
        {
            f"partials/{partial}.txt": "Bye,\n{{ shop.hour }}\n",
            f"{template}/sms.txt": f"Hello {{% include '{partial}' %}}\n",
            f"{template}/variables.json": '{"type": "object", "properties": {}, "additionalProperties": false}\n',
        },
    )
    done = tidings("template", "push", folder, status=1)
    assert f"partials/{partial}.txt:2:4: " in done.err
