"""Pages from elsewhere get nothing out of a sandbox, and nothing into it."""

import pytest

from tests.support.sandbox import Box, fetch, sandbox


def told(box: Box, path: str = "/sandbox/messages", method: str = "", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(f"{box.url}{path}", headers=named, method=method).status


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8025"},
        {"host": "localhost.evil.example"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    ],
)
def test_a_page_from_elsewhere_is_not_answered(box: Box, headers: dict[str, str]) -> None:
    assert told(box, **headers) == 403
    assert told(box, method="DELETE", **headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:8025"},
        {"host": "sandbox.localhost"},
        {"host": "127.0.0.1"},
        {"host": "[::1]:8025"},
        {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"},
        {"sec_fetch_site": "none", "sec_fetch_mode": "navigate"},
    ],
)
def test_people_and_programs_are(box: Box, headers: dict[str, str]) -> None:
    assert told(box, **headers) == 200


def test_a_link_to_the_page_is_followed(box: Box) -> None:
    assert told(box, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert told(box, "/", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403


def test_who_listens_for_others_is_called_by_any_name() -> None:
    with sandbox(host="0.0.0.0") as box:
        assert told(box, host="sandbox.internal.example") == 200
