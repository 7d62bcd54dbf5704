"""What is explained is what the rules say: compared with an evaluator that was written from the page of rules alone."""

import os
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.api.conftest import own_database
from tests.flow.crowd import SETTINGS, Crowd, in_turn
from tests.flow.evaluator import Refused, Told, World, evaluate
from tests.support.system import System
from tidings.store.embedded import EmbeddedServer

pytestmark = pytest.mark.anyio

USERS = 500
COMBINATIONS = 10_000
_RULES = {"mandatory", "channel_off", "template_choice", "category_choice"}
SENT = 500
UNREACHABLE = "no_reachable_channel"
_OF_A_USER = {
    *("no_account", "address_suppressed", "preference_off", "not_chosen"),
    *("no_send_time", "quiet_hours", "send_window", "queued", UNREACHABLE),
}
_OF_A_REQUEST = {
    *(*_OF_A_USER, "no_content", "no_address", "fallback_waiting", "scheduled"),
    *("unknown_template", "already_expired"),
}

# DECISIONS_SEED repeats what failed.
seed = int(os.environ.get("DECISIONS_SEED") or secrets.randbits(32))


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return Crowd(Random(seed), USERS)


@pytest.fixture(scope="module")
async def peopled(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, crowd: Crowd
) -> AsyncIterator[System]:
    directory = tmp_path_factory.mktemp("peopled")
    async with (
        own_database(server) as dsn,
        System.run(dsn, directory, working=False, **SETTINGS) as system,
    ):
        await crowd.store(system)
        yield system


async def test_explain_says_what_the_rules_say(peopled: System, crowd: Crowd) -> None:
    world, seen = crowd.world(), set[str]()

    async def ask(request: dict[str, Any]) -> None:
        names = "template_id", "priority"
        path = f"/users/{request['recipient']['user_id']}/explain?"
        before = datetime.now(UTC)
        answer = await peopled.call("GET", path + urlencode({one: request[one] for one in names}))
        assert answer.status == 200, answer.body
        found = answer.body
        told = Refused(UNREACHABLE) if found["refused"] else _read(found["channels"])
        _compare(world, request, (before, datetime.now(UTC)), told)
        deliveries = [] if isinstance(told, Refused) else told
        assert found["would_send"] == any(one.status == "pending" for one in deliveries)
        seen.update(_reasons(told))

    await in_turn(ask(crowd.bare()) for _ in range(COMBINATIONS))
    assert seen >= _OF_A_USER


async def test_a_dry_run_says_what_the_rules_say(peopled: System, crowd: Crowd) -> None:
    """With all that a request may say of recipient, channels, order and time."""
    world, seen = crowd.world(), set[str]()
    now = datetime.now(UTC)
    items = [crowd.rich(now) for _ in range(COMBINATIONS)]
    found = await _bulk(peopled, 200, items, dry_run=True)
    moments = now, datetime.now(UTC)
    for item, one in zip(items, found, strict=True):
        told = _refused(one) or _read(one["deliveries"])
        _compare(world, item, moments, told)
        seen.update(_reasons(told))
    assert seen == _OF_A_REQUEST


async def test_what_was_sent_is_explained_as_the_rules_say(peopled: System, crowd: Crowd) -> None:
    world = crowd.world()
    now = datetime.now(UTC)
    items = [crowd.rich(now) for _ in range(SENT)]
    found = await _bulk(peopled, 202, items)
    moments = now, datetime.now(UTC)

    async def ask(item: dict[str, Any], one: dict[str, Any]) -> None:
        told: list[Told] | Refused | None = _refused(one)
        if told is None:
            path = f"/notifications/{one['notification_id']}/explain"
            answer = await peopled.call("GET", path)
            assert answer.status == 200, answer.body
            told = [_stored(each) for each in answer.body["deliveries"]]
        _compare(world, item, moments, told)

    await in_turn(ask(item, one) for item, one in zip(items, found, strict=True))


async def _bulk(
    system: System, status: int, items: Sequence[dict[str, Any]], **more: Any
) -> list[dict[str, Any]]:
    answer = await system.call("POST", "/notifications/bulk", {"notifications": items, **more})
    assert answer.status == status, answer.body
    results: list[dict[str, Any]] = answer.body["results"]
    return results


def _refused(result: dict[str, Any]) -> Refused | None:
    problem = result.get("problem")
    return Refused(problem["code"]) if problem else None


def _reasons(told: list[Told] | Refused) -> set[str]:
    return {told.code} if isinstance(told, Refused) else {one.reason for one in told}


def _read(verdicts: Sequence[dict[str, Any]]) -> list[Told]:
    return [
        Told(
            one["channel"],
            one["status"],
            one["reason"],
            datetime.fromisoformat(one["until"]) if one["until"] and _tells_until(one) else None,
            _rule(one),
        )
        for one in verdicts
    ]


def _stored(one: dict[str, Any]) -> Told:
    """Of a delivery: its last step says where it stands."""
    until = one["steps"][-1]["until"] if _tells_until(one) else None
    moment = datetime.fromisoformat(until) if until else None
    return Told(one["channel"], one["status"], one["reason"], moment, _rule(one))


def _rule(one: dict[str, Any]) -> str | None:
    return next((step["code"] for step in one["steps"] if step["code"] in _RULES), None)


def _tells_until(one: dict[str, Any]) -> bool:
    waits_for_another = one["reason"] == "fallback_waiting"
    return one["status"] == "pending" and not waits_for_another


def _compare(
    world: World,
    request: dict[str, Any],
    moments: tuple[datetime, datetime],
    told: list[Told] | Refused,
) -> None:
    """moments: between which it was decided; the end of a minute may lie between."""
    allowed = [_shown(evaluate(world, request, moment)) for moment in moments]
    assert told in allowed, f"seed {seed}: {request}\ntold: {told}\nrules: {allowed[0]}"


def _shown(ruled: list[Told] | Refused) -> list[Told] | Refused:
    """The rule that decides most often is not named."""
    if isinstance(ruled, Refused):
        return ruled
    return [
        Told(
            one.channel, one.status, one.reason, one.until, one.rule if one.rule in _RULES else None
        )
        for one in ruled
    ]
