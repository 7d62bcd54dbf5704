"""Templates that were stored by a release which knew less of what cannot work: they are sent as before."""

import json
from pathlib import Path

import asyncpg
import pytest

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

NEVER = {
    "jinja": "{% if never is defined %}{{ 'a' | center('wide') }}{% endif %}Hello",
    "liquid": "{% if never %}{{ 'a' | slice: 'wide' }}{% endif %}Hello",
}


@pytest.mark.parametrize("engine", NEVER)
async def test_what_stands_where_nobody_comes_keeps_nothing_from_being_sent(
    dsn: str, tmp_path: Path, connection: "asyncpg.Connection[asyncpg.Record]", engine: str
) -> None:
    content = {"in_app": {"title": "t", "body": NEVER[engine]}}
    async with System.run(dsn, tmp_path) as system:
        refused = await system.call(
            "POST", "/templates", {"id": "new", "engine": engine, "content": content}
        )
        assert_problem(refused, Code.INVALID_TEMPLATE)
        await system.template({"in_app": {"title": "t", "body": "b"}}, engine=engine)
        await connection.execute("UPDATE template_versions SET content = $1", json.dumps(content))
        sent = await system.settled(await system.send({"user_id": "ada"}))
        inbox = await system.call("GET", "/users/ada/inbox")
    assert sent["status"] == "delivered"
    assert [entry["body"] for entry in inbox.body["entries"]] == ["Hello"]
