"""POST /notifications/bulk as JSON lines: streamed both ways, and gone on with without doubling."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import Rows
from tests.support.system import System
from tidings.store import batches
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

DEFAULTS = {"defaults": {"template_id": "note", "priority": "low", "data": {"name": "all", "x": 1}}}


def line(number: int, **more: Any) -> dict[str, Any]:
    return {"recipient": {"user_id": f"user-{number}"}, **more}


def dump(documents: Sequence[Any]) -> bytes:
    return b"".join(
        (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in documents
    )


async def stream(
    system: System,
    body: bytes | AsyncIterator[bytes],
    query: str = "",
    *,
    role: Role = Role.ADMIN,
    headers: dict[str, str] | None = None,
) -> list[Any]:
    """The lines of the answer."""
    request = system.client.post(f"{system.url}/notifications/bulk{query}")
    request = request.bearer_auth(system.keys[role]).header("content-type", "application/x-ndjson")
    request = request.headers(headers or {})
    request = request.body_bytes(body) if isinstance(body, bytes) else request.body_stream(body)
    response = await request.build().send()
    text = await response.text()
    if response.status != 202:
        return [response.status, json.loads(text)]
    return [json.loads(one) for one in text.splitlines()]


async def batch(system: System, batch_id: str) -> Any:
    return (await system.call("GET", f"/batches/{batch_id}")).body


async def test_lines_with_common_defaults(quiet: System) -> None:
    body = dump([DEFAULTS, *(line(n, data={"name": f"N{n}"}) for n in range(1_200))])
    first, *between, last = await stream(quiet, body)
    assert first["lines"] == 0
    assert last == {"lines": 1_201, "accepted": 1_200, "refused": 0, "done": True, "sealed": True}
    assert [one["lines"] for one in between] == [500, 1_000, 1_201]
    row = await batch(quiet, first["batch_id"])
    assert (row["accepted"], row["lines"], row["refused"], row["sealed"]) == (1_200, 1_201, 0, True)
    listed = (await quiet.call("GET", "/notifications?limit=1")).body["notifications"][0]
    assert (listed["priority"], listed["user_id"]) == ("low", "user-1199")


async def test_refused_lines_are_told_by_number(quiet: System) -> None:
    body = dump(
        [
            DEFAULTS,
            line(1),
            b"",
            b"no json",
            line(2, template_id="nope"),
            b"[1]",
            line(3, data={"name": "x" * 300_000}),
            line(4, surprise=1),
            line(5),
        ]
    )
    answers = await stream(quiet, body, "?ids=true")
    by_line = {one["line"]: one.get("problem", {}).get("code") for one in answers if "line" in one}
    assert by_line == {
        2: None,
        4: "malformed_json",
        5: "unknown_template",
        6: "invalid_request",
        7: "body_too_large",
        8: "invalid_request",
        9: None,
    }
    assert (answers[-1]["accepted"], answers[-1]["refused"]) == (2, 5)
    row = await batch(quiet, answers[0]["batch_id"])
    assert (row["accepted"], row["refused"]) == (2, 5)
    assert {one["code"]: one["count"] for one in row["refusals"]} == {
        "malformed_json": 1,
        "unknown_template": 1,
        "invalid_request": 2,
        "body_too_large": 1,
    }


async def test_without_a_last_line_feed_and_in_odd_pieces(quiet: System) -> None:
    body = dump([DEFAULTS, *(line(n) for n in range(20))])[:-1]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    answers = await stream(quiet, pieces())
    assert answers[-1]["accepted"] == 20


async def test_what_has_come_is_stored_though_the_rest_has_not(quiet: System, rows: Rows) -> None:
    before = (await rows())["notifications"]
    gate = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield dump([DEFAULTS, line(1), line(2)])
        await gate.wait()
        yield dump([line(3)])

    running = asyncio.create_task(stream(quiet, slowly()))
    async with asyncio.timeout(30):
        while (await rows())["notifications"] < before + 2:
            await asyncio.sleep(0.01)
    gate.set()
    answers = await running
    assert [one["lines"] for one in answers] == [0, 3, 4, 4]


async def test_going_on_repeats_nothing(quiet: System, rows: Rows) -> None:
    """The same stream again, whole or from where the batch says, under its key or its batch's id."""
    lines = [DEFAULTS, *(line(n) for n in range(700))]
    key = {"idempotency-key": uuid.uuid4().hex}
    before = (await rows())["notifications"]
    opened = (await quiet.call("POST", "/batches", {})).body["batch_id"]
    first = await stream(quiet, dump(lines[:301]), f"?batch_id={opened}")
    assert first[-1] == {"lines": 301, "accepted": 300, "refused": 0, "done": True, "sealed": False}
    whole = await stream(quiet, dump(lines[:601]), f"?batch_id={opened}")
    assert whole[0]["lines"] == 301
    assert (whole[-1]["lines"], whole[-1]["accepted"]) == (601, 300)
    rest = dump([DEFAULTS, *lines[601:]])
    # The defaults are sent again, in the place of a line that is done.
    last = await stream(quiet, rest, f"?batch_id={opened}&from_line=601&seal=true")
    assert (last[-1]["lines"], last[-1]["accepted"], last[-1]["sealed"]) == (701, 100, True)
    assert (await rows())["notifications"] == before + 700

    one = await stream(quiet, dump(lines), headers=key)
    two = await stream(quiet, dump(lines), headers=key)
    assert one[0]["batch_id"] == two[0]["batch_id"]
    assert (one[-1]["accepted"], two[-1]["accepted"]) == (700, 0)
    assert two[0]["lines"] == 701
    assert (await rows())["notifications"] == before + 1_400


async def test_a_key_is_free_again_after_its_time(quiet: System) -> None:
    body, key = dump([DEFAULTS, line(1)]), {"idempotency-key": uuid.uuid4().hex}
    first = await stream(quiet, body, headers=key)
    connection = await asyncpg.connect(quiet.dsn)
    try:
        await batches.forget_keys(connection, 3600)
        assert (await stream(quiet, body, headers=key))[0] == {**first[0], "lines": 2}
        await batches.forget_keys(connection, -3600)
    finally:
        await connection.close()
    again = await stream(quiet, body, headers=key)
    assert again[0]["batch_id"] != first[0]["batch_id"]
    assert again[-1]["accepted"] == 1


async def test_two_streams_of_one_batch(quiet: System, rows: Rows) -> None:
    """Of two that send the same lines at the same time, every line is stored once."""
    before = (await rows())["notifications"]
    opened = (await quiet.call("POST", "/batches", {})).body["batch_id"]
    body = dump([DEFAULTS, *(line(n) for n in range(3_000))])
    answers = await asyncio.gather(*(stream(quiet, body, f"?batch_id={opened}") for _ in range(3)))
    ends = [one[-1].get("problem", {}).get("code") for one in answers]
    assert None in ends
    assert set(ends) <= {None, "stream_conflict"}
    assert (await rows())["notifications"] == before + 3_000


async def test_a_batch_that_is_closed_meanwhile(quiet: System) -> None:
    opened = (await quiet.call("POST", "/batches", {})).body["batch_id"]
    gate = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield dump([DEFAULTS, line(1)])
        await gate.wait()
        yield dump([line(2)])

    running = asyncio.create_task(stream(quiet, slowly(), f"?batch_id={opened}"))
    async with asyncio.timeout(30):
        while (await batch(quiet, opened))["accepted"] < 1:
            await asyncio.sleep(0.01)
    assert (await quiet.call("POST", f"/batches/{opened}/cancel")).status == 200
    gate.set()
    answers = await running
    assert answers[-1]["problem"]["code"] == "batch_not_open"
    assert answers[-1]["lines"] == 2
    assert (await batch(quiet, opened))["accepted"] == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?from_line=0", 400, "invalid_request"),
        ("?from_line=x", 400, "invalid_request"),
        ("?from_line=5", 400, "invalid_request"),
        ("?ids=1", 400, "invalid_request"),
        ("?batch_id=x", 400, "invalid_request"),
        ("?batch_id=01890000-0000-7000-8000-000000000000", 404, "not_found"),
    ],
)
async def test_refused_before_it_begins(
    quiet: System, rows: Rows, query: str, status: int, code: str
) -> None:
    before = await rows()
    answer = await stream(quiet, dump([DEFAULTS, line(1)]), query)
    assert answer[0] == status
    assert answer[1]["code"] == code
    after = await rows()
    assert after["notifications"] == before["notifications"]


async def test_an_unreadable_key_is_refused(quiet: System) -> None:
    answer = await stream(quiet, b"", headers={"idempotency-key": "x" * 256})
    assert answer[0] == 400


async def test_lines_with_keys_of_their_own(quiet: System, rows: Rows) -> None:
    before = (await rows())["notifications"]
    key = uuid.uuid4().hex
    same = [DEFAULTS, line(1, idempotency_key=key), line(1, idempotency_key=key)]
    one = await stream(quiet, dump(same), "?ids=true")
    ids = [each["notification_id"] for each in one if "line" in each]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert (await rows())["notifications"] == before + 1


async def test_what_is_streamed_is_delivered(busy: System) -> None:
    answers = await stream(busy, dump([DEFAULTS, *(line(n) for n in range(50))]))
    async with asyncio.timeout(30):
        while not (row := await batch(busy, answers[0]["batch_id"]))["complete"]:
            await asyncio.sleep(0.02)
    assert row["notifications"]["delivered"] == 50


async def test_the_sums_are_right_at_any_moment(busy: System) -> None:
    """Counted while it is accepted and sent: never more or less than the statuses add up to."""
    opened = (await busy.call("POST", "/batches", {})).body["batch_id"]
    body = dump([DEFAULTS, *(line(n) for n in range(2_000))])
    running = asyncio.create_task(stream(busy, body, f"?batch_id={opened}&seal=true"))
    seen = 0
    async with asyncio.timeout(60):
        while True:
            row = await batch(busy, opened)
            assert sum(row["notifications"].values()) == row["accepted"]
            assert row["accepted"] + row["refused"] <= 2_000
            assert row["accepted"] >= seen
            seen = row["accepted"]
            if row["complete"]:
                break
    assert (await running)[-1]["accepted"] == 2_000
    assert row["notifications"]["delivered"] == 2_000
    connection = await asyncpg.connect(busy.dsn)
    assert (
        await connection.fetchval("SELECT count(*) FROM notifications WHERE batch_id = $1", opened)
        == 2_000
    )
    await connection.close()
