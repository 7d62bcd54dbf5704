"""Why somebody did or did not get a message: the chain of decisions, and what would be decided now."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.domain.explanations import Origin
from tidings.domain.preferences import Rule
from tidings.domain.reasons import Reason

pytestmark = pytest.mark.anyio


async def template(system: System, **more: Any) -> None:
    body = {
        "id": "both",
        "category": "social",
        "content": {
            "email": {"subject": "s", "text": "Hi {{ name }}"},
            "in_app": {"title": "t", "body": "b"},
        },
        **more,
    }
    assert (await system.call("POST", "/templates", body)).status == 201


async def explained(system: System, notification_id: str) -> dict[str, Any]:
    answer = await system.call("GET", f"/notifications/{notification_id}/explain")
    assert answer.status == 200, answer.body
    return {one["channel"]: one for one in answer.body["deliveries"]}


async def prospect(system: System, user_id: str = "ann", **more: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {"template_id": "both", **more}.items())
    answer = await system.call("GET", f"/users/{user_id}/explain?{query}")
    assert answer.status == 200, answer.body
    return answer.body


async def test_what_was_sent_and_what_was_not(system: System) -> None:
    await template(system)
    await system.call("PUT", "/users/ann", {"email": "ann@example.com"})
    await system.call(
        "PUT", "/users/ann/preferences", {"categories": {"social": {"in_app": False}}}
    )
    notification_id = await system.send({"user_id": "ann"}, {"name": "Ann"}, template_id="both")
    await system.settled(notification_id)

    found = await explained(system, notification_id)
    email, in_app = found["email"], found["in_app"]
    assert (email["status"], in_app["status"]) == ("delivered", "skipped")
    codes = [step["code"] for step in email["steps"]]
    assert codes == [Origin.STORED_ADDRESS, Reason.STORED, Reason.STORED]
    attempt = email["steps"][1]
    assert (attempt["attempt"], attempt["choice"]) == (1, "only")
    assert in_app["reason"] == Reason.PREFERENCE_OFF
    assert [step["code"] for step in in_app["steps"]] == [
        Rule.CATEGORY_CHOICE,
        Reason.PREFERENCE_OFF,
    ]
    assert all(step["text"] for one in found.values() for step in one["steps"])
    assert "ann@example.com" not in str(found)


async def test_what_waits_says_until_when(system: System) -> None:
    await template(system)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    notification_id = await system.send(
        {"email": "ann@example.com"}, {"name": "Ann"}, template_id="both", send_at=later
    )
    email = (await explained(system, notification_id))["email"]
    assert (email["status"], email["reason"]) == ("pending", Reason.SCHEDULED)
    assert email["steps"][-1]["until"] is not None


async def test_no_such_notification(system: System) -> None:
    answer = await system.call("GET", f"/notifications/{uuid4()}/explain")
    assert_problem(answer, Code.NOT_FOUND)


async def test_what_a_user_would_get(system: System) -> None:
    await template(system, variables={"type": "object", "required": ["name"]})
    await system.call("PUT", "/users/ann", {"email": "ann@example.com"})
    before = await prospect(system)
    assert before["would_send"]
    assert {one["channel"]: one["reason"] for one in before["channels"]} == {
        "email": Reason.QUEUED,
        "in_app": Reason.QUEUED,
    }

    await system.call("PUT", "/users/ann/preferences", {"channels": {"in_app": False}})
    await system.call(
        "POST",
        "/suppressions",
        {"channel": "email", "address": "ann@example.com", "reason": "bounced"},
    )
    after = await prospect(system)
    assert not after["would_send"]
    assert {one["channel"]: one["reason"] for one in after["channels"]} == {
        "email": Reason.ADDRESS_SUPPRESSED,
        "in_app": Reason.PREFERENCE_OFF,
    }
    assert (await system.call("GET", "/notifications")).body["notifications"] == []


async def test_the_prospect_agrees_with_the_send(system: System) -> None:
    """The same code decides: at night, for a user with quiet hours, for one without addresses, and for a stranger."""
    await template(system)
    await system.call("PUT", "/users/bob", {"email": "bob@example.com", "timezone": "Asia/Tokyo"})
    await system.call(
        "PUT",
        "/users/bob/preferences",
        {"quiet_hours": {"from": "00:00", "to": "23:59"}, "templates": {"both": {"in_app": False}}},
    )
    for user_id in ("bob", "stranger"):
        for priority in ("medium", "critical"):
            said = await prospect(system, user_id, priority=priority)
            notification_id = await system.send(
                {"user_id": user_id}, {"name": "x"}, template_id="both", priority=priority
            )
            steps = {
                channel: [step["code"] for step in one["steps"]]
                for channel, one in (await explained(system, notification_id)).items()
            }
            assert {one["channel"] for one in said["channels"]} == steps.keys()
            for one in said["channels"]:
                decided = [step["code"] for step in one["steps"]]
                assert steps[one["channel"]][: len(decided)] == decided


async def test_a_user_who_cannot_be_reached(system: System) -> None:
    body = {"id": "both", "content": {"email": {"subject": "s", "text": "t"}}}
    assert (await system.call("POST", "/templates", body)).status == 201
    said = await prospect(system, "stranger")
    assert not said["would_send"]
    assert "cannot be reached" in said["refused"]


async def test_no_such_template(system: System) -> None:
    assert_problem(await system.call("GET", "/users/ann/explain?template_id=none"), Code.NOT_FOUND)
