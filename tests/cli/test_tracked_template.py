"""What is tracked goes to a folder and comes back."""

from pathlib import Path

import pytest

from tidings.cli import template_folder
from tidings.cli.source_files import FolderError


@pytest.mark.parametrize(("opens", "clicks"), [(None, None), (True, False), (False, None)])
def test_switches_of_tracking_in_a_folder(
    tmp_path: Path, opens: bool | None, clicks: bool | None
) -> None:
    folder = tmp_path / "offer"
    folder.mkdir()
    lines = [
        f"{name} = {str(value).lower()}\n"
        for name, value in (("track_opens", opens), ("track_clicks", clicks))
        if value is not None
    ]
    (folder / "template.toml").write_text("".join(lines), encoding="utf-8")
    (folder / "sms.txt").write_text("Hello\n", encoding="utf-8")
    document = template_folder.read(folder).document()
    assert (document["track_opens"], document["track_clicks"]) == (opens, clicks)


def test_a_switch_is_true_or_false(tmp_path: Path) -> None:
    (tmp_path / "template.toml").write_text("track_opens = 1\n", encoding="utf-8")
    (tmp_path / "sms.txt").write_text("Hello\n", encoding="utf-8")
    with pytest.raises(FolderError, match="track_opens must be true or false"):
        template_folder.read(tmp_path)
