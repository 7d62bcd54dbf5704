"""Templates stored anew with what they share."""

import pytest

from tests.support.system import System

pytestmark = pytest.mark.anyio


async def share(system: System, text: str) -> None:
    answer = await system.call("PUT", "/partials/words", {"text": text})
    assert answer.status == 200, answer.body


async def test_a_draft_stays_one_when_it_is_refreshed(system: System) -> None:
    await share(system, "Bye")
    content = {"sms": {"body": 'Hello {% include "words" %}'}}
    created = await system.call(
        "POST", "/templates", {"id": "hello", "content": content, "draft": True}
    )
    assert created.body["published_at"] is None
    await share(system, "See you")
    assert (await system.call("GET", "/outdated-templates")).body == {"templates": []}

    refreshed = await system.call("POST", "/templates/hello/refresh")
    assert (refreshed.body["version"], refreshed.body["published_at"]) == (2, None)
    assert refreshed.body["shared"] == {"partial/words": 2}
    versions = await system.call("GET", "/templates/hello/versions")
    assert (versions.body["current_version"], versions.body["latest_version"]) == (None, 2)


async def test_a_part_that_is_removed_makes_its_users_outdated(system: System) -> None:
    await share(system, "Bye")
    content = {"sms": {"body": "Hello {% include 'words' %}"}}
    await system.call("POST", "/templates", {"id": "hello", "content": content})
    removed = await system.call("DELETE", "/partials/words")
    assert removed.status == 204
    outdated = await system.call("GET", "/outdated-templates")
    assert outdated.body == {"templates": [{"template_id": "hello", "parts": ["partial/words"]}]}
    refreshed = await system.call("POST", "/templates/hello/refresh")
    assert refreshed.status == 400
    [error] = refreshed.body["errors"]
    assert (error["path"], error["line"]) == ("content.sms.body", 1)
    assert "there is no partial 'words'" in error["message"]
