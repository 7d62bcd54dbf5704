"""Who may do what: every route of the app with every role, and with every kind of bad key."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from tests.api.conftest import Rows
from tests.api.problem import assert_problem
from tests.api.raw import exchange, request_bytes
from tests.support.system import System
from tidings.api.app import create_app
from tidings.api.parts import Parts
from tidings.api.problems import Code
from tidings.metrics import Metrics
from tidings.settings import ApiSettings, InboxSettings
from tidings.store import api_keys
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

READERS = {Role.SENDER, Role.EDITOR, Role.VIEWER, Role.ADMIN}
SENDERS = {Role.SENDER, Role.ADMIN}
EDITORS = {Role.EDITOR, Role.ADMIN}

# Every route of the app must be here, or below among the open ones.
ALLOWED: dict[tuple[str, str], set[Role]] = {
    ("POST", "/notifications/send"): SENDERS,
    ("POST", "/notifications/bulk"): SENDERS,
    ("GET", "/notifications"): READERS,
    ("GET", "/notifications/{notification_id}/status"): READERS,
    ("GET", "/notifications/{notification_id}/explain"): READERS,
    ("GET", "/notifications/{notification_id}/engagement"): READERS,
    ("GET", "/templates/{template_id}/engagement"): READERS,
    ("GET", "/batches/{batch_id}/engagement"): READERS,
    ("GET", "/users/{user_id}/explain"): READERS,
    ("POST", "/notifications/{notification_id}/cancel"): SENDERS,
    ("GET", "/limits"): READERS,
    ("GET", "/accounts"): READERS,
    ("GET", "/accounts/events"): READERS,
    ("POST", "/accounts/{name}/reset"): {Role.ADMIN},
    ("POST", "/events"): SENDERS,
    ("POST", "/events/bulk"): SENDERS,
    ("GET", "/events/{event_id}"): READERS,
    ("GET", "/unread-callbacks"): {Role.ADMIN},
    ("POST", "/unread-callbacks/retry"): {Role.ADMIN},
    ("GET", "/event-subscriptions"): {Role.ADMIN},
    ("POST", "/event-subscriptions"): {Role.ADMIN},
    ("GET", "/event-subscriptions/{subscription_id}"): {Role.ADMIN},
    ("PATCH", "/event-subscriptions/{subscription_id}"): {Role.ADMIN},
    ("DELETE", "/event-subscriptions/{subscription_id}"): {Role.ADMIN},
    ("POST", "/event-subscriptions/{subscription_id}/rotate-secret"): {Role.ADMIN},
    ("POST", "/event-subscriptions/{subscription_id}/test"): {Role.ADMIN},
    ("GET", "/event-subscriptions/{subscription_id}/events"): {Role.ADMIN},
    ("POST", "/batches"): SENDERS,
    ("GET", "/batches"): READERS,
    ("GET", "/batches/{batch_id}"): READERS,
    ("POST", "/batches/{batch_id}/seal"): SENDERS,
    ("POST", "/batches/{batch_id}/pause"): SENDERS,
    ("POST", "/batches/{batch_id}/resume"): SENDERS,
    ("POST", "/batches/{batch_id}/cancel"): SENDERS,
    ("POST", "/batches/{batch_id}/retry"): SENDERS,
    ("GET", "/dead-letters"): READERS,
    ("GET", "/dead-letters/{delivery_id}"): READERS,
    ("POST", "/dead-letters/replay"): SENDERS,
    ("POST", "/dead-letters/discard"): SENDERS,
    ("POST", "/dead-letters/{delivery_id}/replay"): SENDERS,
    ("POST", "/dead-letters/{delivery_id}/discard"): SENDERS,
    ("GET", "/templates"): READERS,
    ("POST", "/templates"): EDITORS,
    ("GET", "/templates/{template_id}"): READERS,
    ("PUT", "/templates/{template_id}"): EDITORS,
    ("POST", "/templates/{template_id}/preview"): READERS,
    ("POST", "/templates/{template_id}/test"): SENDERS,
    ("GET", "/templates/{template_id}/variables"): READERS,
    ("GET", "/templates/{template_id}/versions"): READERS,
    ("GET", "/templates/{template_id}/diff"): READERS,
    ("GET", "/templates/{template_id}/translations"): READERS,
    ("POST", "/templates/{template_id}/publish"): EDITORS,
    ("POST", "/templates/{template_id}/archive"): EDITORS,
    ("POST", "/templates/{template_id}/restore"): EDITORS,
    ("POST", "/templates/{template_id}/refresh"): EDITORS,
    ("GET", "/outdated-templates"): READERS,
    ("POST", "/template-checks"): READERS,
    ("GET", "/layouts"): READERS,
    ("GET", "/layouts/{layout_id}"): READERS,
    ("PUT", "/layouts/{layout_id}"): EDITORS,
    ("DELETE", "/layouts/{layout_id}"): EDITORS,
    ("GET", "/partials"): READERS,
    ("GET", "/partials/{partial_id}"): READERS,
    ("PUT", "/partials/{partial_id}"): EDITORS,
    ("DELETE", "/partials/{partial_id}"): EDITORS,
    ("GET", "/brand"): READERS,
    ("PUT", "/brand"): EDITORS,
    ("GET", "/users"): SENDERS,
    ("GET", "/users/{user_id}"): SENDERS,
    ("PUT", "/users/{user_id}"): SENDERS,
    ("PATCH", "/users/{user_id}"): SENDERS,
    ("DELETE", "/users/{user_id}"): SENDERS,
    ("POST", "/users/import"): SENDERS,
    ("GET", "/users/{user_id}/export"): SENDERS,
    ("POST", "/users/{user_id}/erase"): SENDERS,
    ("GET", "/users/{user_id}/devices"): SENDERS,
    ("POST", "/users/{user_id}/devices"): SENDERS,
    ("DELETE", "/users/{user_id}/devices/{device_id}"): SENDERS,
    ("GET", "/suppressions"): SENDERS,
    ("POST", "/suppressions"): SENDERS,
    ("POST", "/suppressions/bulk"): SENDERS,
    ("GET", "/suppressions/{suppression_id}"): SENDERS,
    ("DELETE", "/suppressions/{suppression_id}"): SENDERS,
    ("GET", "/users/{user_id}/preferences"): READERS,
    ("PUT", "/users/{user_id}/preferences"): SENDERS,
    ("PATCH", "/users/{user_id}/preferences"): SENDERS,
    ("GET", "/users/{user_id}/preferences/history"): READERS,
    ("GET", "/categories"): READERS,
    ("GET", "/categories/{category_id}"): READERS,
    ("PUT", "/categories/{category_id}"): EDITORS,
    ("DELETE", "/categories/{category_id}"): EDITORS,
    ("GET", "/users/{user_id}/inbox"): READERS,
    ("GET", "/users/{user_id}/inbox/unread_count"): READERS,
    ("POST", "/users/{user_id}/inbox/read"): SENDERS,
    ("GET", "/users/{user_id}/inbox/events"): READERS,
    ("POST", "/users/{user_id}/inbox/tokens"): SENDERS,
    ("POST", "/users/{user_id}/inbox/seen"): SENDERS,
    ("POST", "/users/{user_id}/inbox/archive"): SENDERS,
    ("POST", "/users/{user_id}/inbox/{entry_id}/read"): SENDERS,
    ("POST", "/users/{user_id}/inbox/{entry_id}/unread"): SENDERS,
    ("POST", "/users/{user_id}/inbox/{entry_id}/archive"): SENDERS,
    ("POST", "/users/{user_id}/inbox/{entry_id}/unarchive"): SENDERS,
    ("GET", "/outbox"): EDITORS,
    ("POST", "/schedules"): SENDERS,
    ("GET", "/schedules"): READERS,
    ("GET", "/schedules/{schedule_id}"): READERS,
    ("PATCH", "/schedules/{schedule_id}"): SENDERS,
    ("DELETE", "/schedules/{schedule_id}"): SENDERS,
    ("GET", "/topics"): READERS,
    ("PUT", "/topics/{topic_id}"): SENDERS,
    ("GET", "/topics/{topic_id}"): READERS,
    ("DELETE", "/topics/{topic_id}"): SENDERS,
    ("GET", "/topics/{topic_id}/subscribers"): READERS,
    ("POST", "/topics/{topic_id}/subscribers"): SENDERS,
    ("POST", "/topics/{topic_id}/subscribers/remove"): SENDERS,
    ("PUT", "/topics/{topic_id}/subscribers/{user_id}"): SENDERS,
    ("DELETE", "/topics/{topic_id}/subscribers/{user_id}"): SENDERS,
    ("GET", "/users/{user_id}/topics"): READERS,
    ("POST", "/broadcasts"): SENDERS,
    ("GET", "/broadcasts"): READERS,
    ("GET", "/broadcasts/{broadcast_id}"): READERS,
    ("GET", "/digests"): READERS,
    ("GET", "/digests/{digest_id}"): READERS,
    ("GET", "/digests/{digest_id}/notifications"): READERS,
    ("POST", "/digests/{digest_id}/close"): SENDERS,
    ("GET", "/attributes"): READERS,
    ("PUT", "/attributes/{name}"): SENDERS,
    ("DELETE", "/attributes/{name}"): SENDERS,
    ("GET", "/segments"): READERS,
    ("POST", "/filters/size"): READERS,
    ("PUT", "/segments/{segment_id}"): SENDERS,
    ("GET", "/segments/{segment_id}"): READERS,
    ("DELETE", "/segments/{segment_id}"): SENDERS,
    ("GET", "/segments/{segment_id}/size"): READERS,
    ("GET", "/segments/{segment_id}/users"): READERS,
}
OPEN = {
    *("/health/live", "/health/ready", "/metrics"),
    *("/openapi.json", "/docs", "/docs/oauth2-redirect"),
}
ASSETS = {"/static-offline-docs"}  # what /docs is shown with, from its package
IDS = {
    "notification_id": "01890000-0000-7000-8000-000000000000",
    "batch_id": "01890000-0000-7000-8000-000000000000",
    "delivery_id": "01890000-0000-7000-8000-000000000000",
    "schedule_id": "01890000-0000-7000-8000-000000000000",
    "device_id": "01890000-0000-7000-8000-000000000000",
    "suppression_id": "01890000-0000-7000-8000-000000000000",
    "entry_id": "01890000-0000-7000-8000-000000000000",
    "template_id": "nope",
    "topic_id": "nope",
    "category_id": "nope",
    "digest_id": "01890000-0000-7000-8000-000000000000",
    "broadcast_id": "01890000-0000-7000-8000-000000000000",
    "segment_id": "nope",
    "event_id": "01890000-0000-7000-8000-000000000000",
    "subscription_id": "01890000-0000-7000-8000-000000000000",
    "layout_id": "nope",
    "partial_id": "nope",
    "user_id": "ann",
    "name": "nope",
}


def routes_of_the_app() -> set[tuple[str, str]]:
    nothing: Any = None
    parts = Parts(
        settings=ApiSettings(),
        pool=nothing,
        keyring=nothing,
        intake=nothing,
        replayer=nothing,
        templates=nothing,
        authentication=nothing,
        metrics=Metrics(CollectorRegistry()),
        providers={},
        exposition=nothing,
        ready=nothing,
        wake=nothing,
        sweep=nothing,
        schedules_changed=nothing,
        attribute=nothing,
        conversions_wait=nothing,
        hub=nothing,
        tell=nothing,
        inbox=InboxSettings(),
    )
    return set(_walk(create_app(parts).routes))


def _walk(routes: list[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if included := getattr(route, "original_router", None):
            yield from _walk(included.routes)
        else:
            # A route without methods, such as a mount or a WebSocket, must be looked at by a person.
            yield from ((method, route.path) for method in getattr(route, "methods", None) or {"?"})


def test_every_route_is_known() -> None:
    found = {(method, path) for method, path in routes_of_the_app() if path not in OPEN | ASSETS}
    assert found == ALLOWED.keys()


@pytest.mark.parametrize(("method", "template"), ALLOWED)
async def test_roles(quiet: System, rows: Rows, method: str, template: str) -> None:
    path = template.format_map(IDS)
    before = await rows()
    for role in Role:
        answer = await quiet.call(method, path, {} if method != "GET" else None, role=role)
        if role in ALLOWED[method, template]:
            assert answer.status not in {401, 403}, (role, answer.body)
        else:
            assert_problem(answer, Code.FORBIDDEN)
            assert role in answer.body["detail"]
    # {} is not valid for anything that stores, except for preferences, which it empties, for batches, which
    # it opens, and for users, topics and categories, which need no more than their id.
    after = await rows()
    apart = {"preferences": 0, "batches": 0, "topics": 0, "users": 0, "categories": 0}
    assert {**after, **apart} == {**before, **apart}


@pytest.mark.parametrize(("method", "template"), ALLOWED)
async def test_without_a_good_key(quiet: System, rows: Rows, method: str, template: str) -> None:
    path = template.format_map(IDS)
    good = quiet.keys[Role.ADMIN]
    before = await rows()
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer tdg_",
        f"Bearer {good}x",
        f"Bearer {good[:-1]}",
        f"Bearer {good} {good}",
        f"Basic {good}",
        good,
        "Bearer '; DROP TABLE api_keys; --",
        "Bearer é",
        f"Bearer {'a' * 10_000}",
    ):
        headers = {} if header is None else {"Authorization": header}
        body: Any = {} if method != "GET" else None
        answer = await quiet.call(method, path, body, role=None, headers=headers)
        assert_problem(answer, Code.UNAUTHORIZED)
        assert answer.headers("www-authenticate") == "Bearer"
        assert good not in str(answer.body)
    assert await rows() == before


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_open_by_design(quiet: System, path: str) -> None:
    assert (await quiet.call("GET", path, role=None)).status == 200


async def test_the_scheme_is_read_in_any_case(quiet: System) -> None:
    key = quiet.keys[Role.VIEWER]
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await quiet.call(
            "GET", "/templates", role=None, headers={"Authorization": f"{scheme}   {key} "}
        )
        assert answer.status == 200


async def test_key_with_bytes_that_are_no_text(quiet: System) -> None:
    answer = await exchange(quiet, request_bytes("GET", "/templates", "\x80\xff"))
    assert answer.status == 401


async def test_a_revoked_key_is_refused_by_every_api(system: System) -> None:
    """The cache of keys hears of it through the database."""
    connection = await asyncpg.connect(system.dsn)
    try:
        assert (await system.call("GET", "/templates", role=Role.VIEWER)).status == 200
        (viewer,) = [key for key in await api_keys.listed(connection) if key.name == "test viewer"]
        assert await api_keys.revoke(connection, viewer.id)
        assert not await api_keys.revoke(connection, viewer.id)
    finally:
        await connection.close()
    async with asyncio.timeout(20):
        while (answer := await system.call("GET", "/templates", role=Role.VIEWER)).status == 200:
            pass  # the notice has not arrived yet
    assert_problem(answer, Code.UNAUTHORIZED)
    assert (await system.call("GET", "/templates", role=Role.EDITOR)).status == 200
