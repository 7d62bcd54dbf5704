"""Declared attributes and segments, over HTTP."""

import asyncio
from typing import Any

import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

PRO = {"attribute": "plan", "is": "pro"}


async def called(system: System, method: str, path: str, body: Any = None) -> Any:
    answer = await system.call(method, path, body)
    assert answer.status in {200, 201, 204}, answer.body
    return answer.body


async def user(system: System, user_id: str, **attributes: Any) -> None:
    await called(system, "PUT", f"/users/{user_id}", {"attributes": attributes})


async def filled(system: System) -> None:
    async with asyncio.timeout(20):
        while (await called(system, "GET", "/attributes"))["filling"]:
            await asyncio.sleep(0.01)


async def test_users_are_found_by_what_was_declared(system: System) -> None:
    """Those that were there before the declaration, and those that came after it."""
    await user(system, "ann", plan="pro", age=30)
    await user(system, "bob", plan="free")
    await user(system, "cem", plan=7)
    answer = await system.call("PUT", "/segments/pros", {"filter": PRO})
    assert_problem(answer, Code.INVALID_REQUEST, "filter.attribute")
    await called(system, "PUT", "/attributes/plan", {"type": "string"})
    await filled(system)
    made = await called(system, "PUT", "/segments/pros", {"name": "Payers", "filter": PRO})
    assert (made["name"], made["filter"]) == ("Payers", PRO)
    assert (await called(system, "GET", "/segments/pros/users"))["user_ids"] == ["ann"]
    await user(system, "dan", plan="pro")
    await user(system, "ann", plan="free")
    assert (await called(system, "GET", "/segments/pros/users"))["user_ids"] == ["dan"]
    assert await called(system, "GET", "/segments/pros/size") == {"users": 1}
    both = {"any": [PRO, {"attribute": "plan", "prefix": "fr"}]}
    assert await called(system, "POST", "/filters/size", {"filter": both}) == {"users": 3}
    first = await called(system, "GET", "/segments/pros/users?limit=1")
    assert first["next_cursor"] == "dan"
    await called(system, "DELETE", "/segments/pros")
    assert_problem(await system.call("GET", "/segments/pros/users"), Code.NOT_FOUND)


async def test_what_is_in_use_stays_declared(system: System) -> None:
    await called(
        system, "PUT", "/attributes/plan", {"type": "string", "description": "What they pay"}
    )
    await called(system, "PUT", "/segments/pros", {"filter": {"not": {"all": [PRO]}}})
    await user(system, "ann", plan="pro")
    for method, body in (("DELETE", None), ("PUT", {"type": "number"})):
        answer = await system.call(method, "/attributes/plan", body)
        assert_problem(answer, Code.ATTRIBUTE_IN_USE)
        assert "pros" in answer.body["detail"]
    changed = await called(system, "PUT", "/attributes/plan", {"type": "string"})
    assert changed["description"] == ""
    await called(system, "DELETE", "/segments/pros")
    await called(system, "PUT", "/attributes/plan", {"type": "number"})
    await filled(system)
    there = {"filter": {"attribute": "plan", "exists": True}}
    assert await called(system, "POST", "/filters/size", there) == {"users": 0}
    await called(system, "DELETE", "/attributes/plan")
    assert_problem(await system.call("DELETE", "/attributes/plan"), Code.NOT_FOUND)
    await filled(system)
    listed = await called(system, "GET", "/attributes")
    assert listed == {"attributes": [], "filling": False}


@pytest.mark.parametrize("name", ["locale", "timezone", "created_at", "topics"])
async def test_what_every_user_has_is_not_declared(quiet: System, name: str) -> None:
    answer = await quiet.call("PUT", f"/attributes/{name}", {"type": "string"})
    assert_problem(answer, Code.INVALID_REQUEST, "name")


@pytest.mark.parametrize(
    ("filter", "path"),
    [
        (None, "filter"),
        ({}, "filter"),
        ({"all": [{"attribute": "locale", "is": 1}]}, "filter.all.0.is"),
        ({"all": [{"attribute": "nope", "is": 1}]}, "filter.all.0.attribute"),
        ({"not": {"attribute": "topics", "contains": ["x"]}}, "filter.not.contains"),
    ],
)
async def test_wrong_filters_are_refused_with_their_paths(
    quiet: System, filter: Any, path: str
) -> None:
    for method, where in (("PUT", "/segments/wrong"), ("POST", "/filters/size")):
        answer = await quiet.call(method, where, {"filter": filter})
        assert_problem(answer, Code.INVALID_REQUEST, path)
    assert_problem(await quiet.call("GET", "/segments/wrong"), Code.NOT_FOUND)


async def test_segments_in_pages(quiet: System) -> None:
    for name in ("c", "a", "b"):
        await called(
            quiet, "PUT", f"/segments/{name}", {"filter": {"attribute": "locale", "is": "de"}}
        )
    first = await called(quiet, "GET", "/segments?limit=2")
    assert [one["id"] for one in first["segments"]] == ["a", "b"]
    rest = await called(quiet, "GET", f"/segments?cursor={first['next_cursor']}&limit=2")
    assert [one["id"] for one in rest["segments"]] == ["c"]
    assert rest["next_cursor"] is None
