"""Topics: made, changed, deleted; users subscribed one by one and many at once, again without harm."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.api.conftest import Served
from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio


async def called(system: System, method: str, path: str, body: Any = None) -> Any:
    answer = await system.call(method, path, body)
    assert answer.status in {200, 204}, answer.body
    return answer.body


async def test_a_topic_is_made_changed_and_deleted(quiet: System) -> None:
    made = await called(quiet, "PUT", "/topics/releases", {})
    assert made["name"] == "releases"
    changed = await called(quiet, "PUT", "/topics/releases", {"name": "New releases"})
    assert changed["name"] == "New releases"
    assert changed["created_at"] == made["created_at"]
    assert await called(quiet, "GET", "/topics/releases") == changed
    await called(quiet, "PUT", "/topics/releases/subscribers/ann")
    await called(quiet, "DELETE", "/topics/releases")
    for method, path in (
        ("GET", "/topics/releases"),
        ("DELETE", "/topics/releases"),
        ("GET", "/topics/releases/subscribers"),
        ("PUT", "/topics/releases/subscribers/ann"),
        ("DELETE", "/topics/releases/subscribers/ann"),
    ):
        assert_problem(await quiet.call(method, path), Code.NOT_FOUND)
    of_ann = await called(quiet, "GET", "/users/ann/topics")
    assert of_ann["subscriptions"] == []


async def test_pages(quiet: System) -> None:
    await called(quiet, "PUT", "/topics/paged", {})
    names = [f"user-{number:03}" for number in range(25)]
    body = {"user_ids": [*names, *names]}
    assert (await called(quiet, "POST", "/topics/paged/subscribers", body)) == {"changed": 25}
    seen: list[str] = []
    path: str | None = "/topics/paged/subscribers?limit=10"
    while path is not None:
        page = await called(quiet, "GET", path)
        seen += [one["user_id"] for one in page["subscriptions"]]
        cursor = page["next_cursor"]
        path = cursor and f"/topics/paged/subscribers?limit=10&cursor={cursor}"
    assert seen == names
    for topic in ("paged-b", "paged-a"):
        await called(quiet, "PUT", f"/topics/{topic}", {})
        await called(quiet, "PUT", f"/topics/{topic}/subscribers/user-003")
    first = await called(quiet, "GET", "/users/user-003/topics?limit=2")
    assert [one["topic_id"] for one in first["subscriptions"]] == ["paged", "paged-a"]
    rest = await called(quiet, "GET", "/users/user-003/topics?cursor=paged-a")
    assert [one["topic_id"] for one in rest["subscriptions"]] == ["paged-b"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/topics/x", {"name": ""}, "name"),
        ("/topics/x", {"title": "x"}, "title"),
        ("/topics/x", {"description": "\0"}, "description"),
        ("/topics/.x", {}, "topic_id"),
    ],
)
async def test_bad_topics(quiet: System, path: str, body: Any, field: str) -> None:
    assert_problem(await quiet.call("PUT", path, body), Code.INVALID_REQUEST, field)


@pytest.mark.parametrize("user_ids", [[], [""], ["a\nb"], [7], ["x" * 256], "ann"])
async def test_bad_subscribers(quiet: System, user_ids: Any) -> None:
    await called(quiet, "PUT", "/topics/bad", {})
    for path in ("/topics/bad/subscribers", "/topics/bad/subscribers/remove"):
        answer = await quiet.call("POST", path, {"user_ids": user_ids})
        assert_problem(answer, Code.INVALID_REQUEST, "user_ids")


USERS = st.lists(st.sampled_from(["ann", "bob", "cem", "dan", "ö/ä %"]), min_size=1)
TOPICS = st.sampled_from(["north", "south"])


def test_subscriptions_are_a_set_for_each_topic(served: Served) -> None:
    class Subscriptions(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model: dict[str, set[str]] = {"north": set(), "south": set()}
            for topic in self.model:
                assert served.call("PUT", f"/topics/{topic}", {}).status == 200
                served.call("DELETE", f"/topics/{topic}")
                assert served.call("PUT", f"/topics/{topic}", {}).status == 200

        @rule(topic=TOPICS, users=USERS)
        def subscribe(self, topic: str, users: list[str]) -> None:
            answer = served.call("POST", f"/topics/{topic}/subscribers", {"user_ids": users})
            assert answer.body == {"changed": len(set(users) - self.model[topic])}
            self.model[topic] |= set(users)

        @rule(topic=TOPICS, users=USERS)
        def unsubscribe(self, topic: str, users: list[str]) -> None:
            path = f"/topics/{topic}/subscribers/remove"
            answer = served.call("POST", path, {"user_ids": users})
            assert answer.body == {"changed": len(set(users) & self.model[topic])}
            self.model[topic] -= set(users)

        @rule(topic=TOPICS)
        def begin_anew(self, topic: str) -> None:
            assert served.call("DELETE", f"/topics/{topic}").status == 204
            assert served.call("PUT", f"/topics/{topic}", {}).status == 200
            self.model[topic] = set()

        @invariant()
        def is_as_modelled(self) -> None:
            for topic, users in self.model.items():
                page = served.call("GET", f"/topics/{topic}/subscribers").body["subscriptions"]
                assert {one["user_id"] for one in page} == users
                assert len(page) == len(users)

    run_state_machine_as_test(
        Subscriptions, settings=settings(max_examples=10, stateful_step_count=10)
    )
