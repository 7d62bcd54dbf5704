"""`tidings layout`: what templates share, as a folder."""

import shutil
from pathlib import Path

from tests.cli.conftest import Cli

BRANDED = Path(__file__).parents[2] / "examples/branded"


def test_the_example_is_pushed_pulled_and_used(tidings: Cli, tmp_path: Path) -> None:
    first = tidings("layout", "push", BRANDED, "--json").documents
    shared = ["brand", "words-ar", "words-de", "words", "main", "notice"]
    assert [one["id"] for one in first] == shared
    again = tidings("layout", "push", BRANDED, "--json").documents
    assert {one["result"] for one in again} == {"unchanged"}
    pushed = tidings("template", "push", BRANDED / "templates", "--json").documents
    assert len(pushed) == 10
    assert {one["result"] for one in pushed} <= {"created", "unchanged"}
    tidings("layout", "pull", tmp_path)
    for name in ("brand.json", "layouts/main.html", "layouts/notice.mjml", "partials/words-ar.txt"):
        assert (tmp_path / name).read_text() == (BRANDED / name).read_text()


def test_a_mistake_is_told_with_its_file(tidings: Cli, tmp_path: Path) -> None:
    shutil.copytree(BRANDED / "partials", tmp_path / "partials")
    layout = tmp_path / "layouts/broken.html"
    layout.parent.mkdir()
    layout.write_text("<p>no place for content</p>")
    refused = tidings("layout", "push", tmp_path, status=1)
    assert "broken.html" in refused.err
    assert "content" in refused.err
    (tmp_path / "brand.json").write_text("[]")
    assert "not a JSON object" in tidings("layout", "push", tmp_path, status=1).err
    assert "no brand.json" in tidings("layout", "push", tmp_path / "layouts", status=1).err


def test_two_files_of_one_layout_are_refused(tidings: Cli, tmp_path: Path) -> None:
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts/main.html").write_text("<html><body>{{ content }}</body></html>")
    (tmp_path / "layouts/main.mjml").write_text("<mjml><mj-body>{{ content }}</mj-body></mjml>")
    ended = tidings("layout", "push", tmp_path, status=1)
    assert "main.mjml: is the layout main, as main.html is: keep one of them" in ended.err
