"""Every command of README, tutorial and how-to pages is run as it stands there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.desk import Desk, desk, idle_desk
from tests.docs.pages import DOCS, PAGES, ROOT, Block, all_blocks, blocks, name_of

_PLAIN = [
    ROOT / "README.md",
    DOCS / "tutorial/first-notification.md",
    DOCS / "how-to/add-a-provider.md",
    DOCS / "how-to/broadcast.md",
    DOCS / "how-to/configure.md",
    DOCS / "how-to/digests.md",
    DOCS / "how-to/keep-and-forget.md",
    DOCS / "how-to/limit-rates.md",
    DOCS / "how-to/manage-users.md",
    DOCS / "how-to/monitor.md",
    DOCS / "how-to/replay-dead-letters.md",
    DOCS / "how-to/respect-preferences.md",
    DOCS / "how-to/rotate-keys.md",
    DOCS / "how-to/run-in-production.md",
    DOCS / "how-to/send-chat.md",
    DOCS / "how-to/send-copies.md",
    DOCS / "how-to/attach-files.md",
    DOCS / "how-to/send-email-through-a-vendor.md",
    DOCS / "how-to/send-on-a-schedule.md",
    DOCS / "how-to/send-push.md",
    DOCS / "how-to/send-sms.md",
    DOCS / "how-to/send-to-many.md",
    DOCS / "how-to/show-an-in-app-feed.md",
    DOCS / "how-to/tell-applications.md",
    DOCS / "how-to/unsubscribe.md",
    DOCS / "how-to/use-several-accounts.md",
    DOCS / "how-to/use-your-own-postgresql.md",
    DOCS / "how-to/verify-webhooks.md",
    DOCS / "how-to/write-templates.md",
]
_WITH_ACCOUNTS = [
    DOCS / "how-to/send-email-over-smtp.md",
    DOCS / "how-to/send-webhooks.md",
    DOCS / "how-to/track-opens-and-clicks.md",
]
_STARTING_ALL = [
    DOCS / "how-to/try-without-accounts.md",
]
_WITHOUT_COMMANDS = [
    DOCS / "how-to/add-a-provider.md",  # followed by test_add_a_provider.py
    DOCS / "how-to/connect-callbacks.md",
    DOCS / "how-to/send-chat.md",
    DOCS / "how-to/send-email-through-a-vendor.md",
    DOCS / "how-to/send-sms.md",
]
_MARK = "@@@ block"


@pytest.fixture(scope="module")
def plain() -> Iterator[Desk]:
    """A development installation with the defaults."""
    with desk() as place:
        yield place


@pytest.fixture(scope="module")
def with_accounts() -> Iterator[Desk]:
    """One with the settings that the pages tell their readers to write."""
    used = [block.text for block in all_blocks("toml") if block.before == "used"]
    assert len(used) == len(_WITH_ACCOUNTS)
    with desk("\n".join(used)) as place:
        yield place


@pytest.mark.parametrize("page", _PLAIN, ids=name_of)
def test_commands_with_the_defaults(page: Path, plain: Desk) -> None:
    _follow(page, plain, _surroundings(page, plain))


@pytest.mark.parametrize("page", _WITH_ACCOUNTS, ids=name_of)
def test_commands_with_accounts(page: Path, with_accounts: Desk) -> None:
    _follow(page, with_accounts, {})


@pytest.mark.parametrize("page", _STARTING_ALL, ids=name_of)
def test_commands_that_start_everything(page: Path) -> None:
    with idle_desk() as place:
        _follow(page, place, {})


def test_every_page_with_commands_is_run() -> None:
    guides = [*(DOCS / "tutorial").glob("*.md"), *(DOCS / "how-to").glob("*.md")]
    others = [page for page in PAGES if any(block.runs for block in blocks(page))]
    assert {*guides, *others} == {
        *_PLAIN,
        *_WITH_ACCOUNTS,
        *_STARTING_ALL,
        *_WITHOUT_COMMANDS,
    }
    assert not any(block.runs for page in _WITHOUT_COMMANDS for block in blocks(page))


@pytest.mark.parametrize("block", all_blocks("console"), ids=name_of)
def test_what_is_not_run_says_why(block: Block) -> None:
    if block.page.name != "CONTRIBUTING.md":
        assert block.before.startswith("not run: "), block.text


def test_output_that_is_not_shown_is_noticed(plain: Desk, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\necho one\n```\n<!-- shows: two -->\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="does not show"):
        _follow(page, plain, {})
    page.write_text("```sh\nfalse\n```\n\n```sh\ntrue\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="status 1"):
        _follow(page, plain, {})


def _surroundings(page: Path, place: Desk) -> dict[str, str]:
    """What a page takes from its reader's own surroundings."""
    if page.name == "run-in-production.md":
        return {
            "TIDINGS_ENVIRONMENT": "production",
            "TIDINGS_KEYRING_FILE": str(place.folder / "keyring.json"),
            "TIDINGS_DATABASE_URL": place.new_database("production"),
        }
    if page.name == "use-your-own-postgresql.md":
        return {"TIDINGS_DATABASE_URL": place.new_database("own")}
    return {}


def _follow(page: Path, place: Desk, extra: dict[str, str]) -> None:
    """Run all blocks of a page in one shell, as its reader does, and look at what they show."""
    runs = [block for block in blocks(page) if block.runs]
    parts = ["set -euo pipefail"]
    for number, block in enumerate(runs):
        parts += [f'echo; echo "{_MARK} {number}"', _command(block)]
    status, output = place.run(place.here("\n".join(parts)), extra)
    assert status == 0, f"{page} ends with status {status}:\n{output}"
    shown = output.split(_MARK)[1:]
    for block, text in zip(runs, shown, strict=True):
        for wanted in block.shows:
            assert _plain(wanted) in _plain(text), f"{page} does not show {wanted!r}:\n{text}"


def _command(block: Block) -> str:
    return block.text if block.language == "sh" else f"python - <<'PYTHON'\n{block.text}PYTHON"


def _plain(text: str) -> str:
    return " ".join(text.split())
