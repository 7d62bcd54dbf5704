"""User ids of any shape work in every path, percent-encoded, and through commands; those that cannot are refused."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Rows
from tests.api.problem import assert_problem, assert_problem_document
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

ODD = (
    "a b",
    "a?x=y&z",
    "#1",
    "100%",
    "a%2Fb",
    "%",
    "a\\b",
    "名前",
    "é",
    "...",
    "a;b=c",
    "'; --",
    "@",
    ":",
    "+",
    "~",
)
NO_PATH = ("a/b", "/", "a/", "//", ".", "..")


async def goes_round(system: System, user: str) -> None:
    path = f"/users/{quote(user, safe='')}"
    notification = await system.send({"user_id": user}, {"name": "n"})
    assert (await system.status(notification))["user_id"] == user
    assert (await system.call("GET", f"{path}/inbox")).body["entries"] == []
    found = (await system.call("GET", f"/notifications?user_id={quote(user, safe='')}")).body
    assert notification in [one["notification_id"] for one in found["notifications"]]
    saved = await system.call("PUT", path, {"email": "odd@example.com"})
    assert saved.status in {200, 201}, saved.body
    assert saved.body["user_id"] == user
    assert (await system.call("GET", path)).body["user_id"] == user
    assert (await system.call("GET", f"{path}/preferences")).status == 200
    assert (await system.call("DELETE", path)).status == 204


@pytest.mark.parametrize("user", ODD)
async def test_odd_ids_go_round(quiet: System, user: str) -> None:
    await goes_round(quiet, user)


_TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\x7f"),
    min_size=1,
    max_size=40,
).filter(lambda text: text not in NO_PATH)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(user=_TEXTS)
async def test_ids_made_by_hypothesis_go_round(quiet: System, user: str) -> None:
    await goes_round(quiet, user)


@pytest.mark.parametrize("user", NO_PATH)
async def test_ids_that_no_path_can_hold_are_refused_on_every_way_in(
    quiet: System, rows: Rows, user: str
) -> None:
    before = await rows()
    one: dict[str, Any] = {"template_id": "note", "recipient": {"user_id": user}, "data": {}}
    answer = await quiet.call("POST", "/notifications/send", one)
    assert_problem(answer, Code.INVALID_REQUEST, "recipient.user_id")
    assert "must not contain /" in str(answer.body)
    bulk = await quiet.call("POST", "/notifications/bulk", {"notifications": [one]})
    problem = bulk.body["results"][0]["problem"]
    assert_problem_document(problem, Code.INVALID_REQUEST, "recipient.user_id")
    schedule = {"cron": "0 9 * * MON", "request": one}
    answer = await quiet.call("POST", "/schedules", schedule)
    assert_problem(answer, Code.INVALID_REQUEST, "request.recipient.user_id")
    assert await rows() == before


async def test_an_encoded_slash_never_reaches_another_users_data(quiet: System) -> None:
    """The server would take the id `ann/preferences` for the preferences of ann."""
    for path in (
        "/users/ann%2Fpreferences",
        "/users/ann%2finbox",
        "/users/ann/inbox%2Funread_count",
    ):
        answer = await quiet.call("GET", path)
        assert_problem(answer, Code.INVALID_REQUEST)
        assert "%2F" in answer.body["detail"]
    assert (await quiet.call("GET", "/users/a%2Fb")).status in {400, 404}
