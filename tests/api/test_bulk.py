"""POST /notifications/bulk: many in one request, and a result for each in its place."""

from typing import Any

import pytest

from tests.api.conftest import Rows
from tests.api.problem import assert_problem, assert_problem_document
from tests.support.system import System
from tidings.api.problems import Code

pytestmark = pytest.mark.anyio

BULK = "/notifications/bulk"


def item(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "template_id": "note",
        "recipient": {"user_id": f"user-{number}"},
        "data": {"name": "Ann"},
        **more,
    }


async def test_one(quiet: System) -> None:
    answer = await quiet.call("POST", BULK, {"notifications": [item()]})
    assert answer.status == 202
    assert (answer.body["accepted"], answer.body["rejected"]) == (1, 0)
    (result,) = answer.body["results"]
    assert result["index"] == 0
    assert (await quiet.status(result["notification_id"]))["user_id"] == "user-0"


async def test_ten_thousand_in_order(quiet: System, rows: Rows) -> None:
    before = await rows()
    body = {"notifications": [item(number) for number in range(10_000)]}
    answer = await quiet.call("POST", BULK, body)
    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (202, 10_000, 0)
    results = answer.body["results"]
    assert [result["index"] for result in results] == [*range(10_000)]
    assert len({result["notification_id"] for result in results}) == 10_000
    for number in (0, 499, 500, 501, 9_999):  # around the edges of the transactions
        status = await quiet.status(results[number]["notification_id"])
        assert status["user_id"] == f"user-{number}"
    after = await rows()
    for table in ("notifications", "deliveries", "queue"):
        assert after[table] == before[table] + 10_000


@pytest.mark.parametrize("count", [0, 10_001])
async def test_too_few_or_too_many(quiet: System, rows: Rows, count: int) -> None:
    before = await rows()
    answer = await quiet.call("POST", BULK, {"notifications": [item()] * count})
    assert_problem(answer, Code.INVALID_REQUEST, "notifications")
    assert str(count) in answer.body["detail"]
    assert await rows() == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"notifications": None},
        {"notifications": {}},
        {"notifications": "all"},
        {"notifications": 1},
        {"items": []},
        {"notifications": [], "more": 1},
    ],
    ids=repr,
)
async def test_wrong_shape(quiet: System, rows: Rows, body: Any) -> None:
    before = await rows()
    assert_problem(await quiet.call("POST", BULK, body), Code.INVALID_REQUEST, "notifications")
    assert await rows() == before


BAD: list[tuple[Any, Code]] = [
    (None, Code.INVALID_REQUEST),
    (1, Code.INVALID_REQUEST),
    ("note", Code.INVALID_REQUEST),
    ([], Code.INVALID_REQUEST),
    ({}, Code.INVALID_REQUEST),
    (item(priority="urgent"), Code.INVALID_REQUEST),
    (item(surprise=1), Code.INVALID_REQUEST),
    (item(recipient={"email": "nobody"}), Code.INVALID_REQUEST),
    (item(send_at=1700000000), Code.INVALID_REQUEST),
    (item(template_id="nope"), Code.UNKNOWN_TEMPLATE),
    (item(recipient={}), Code.NO_REACHABLE_CHANNEL),
    (item(channel_preferences=["email"]), Code.NO_REACHABLE_CHANNEL),
    (item(expires_at="2020-01-01T00:00:00Z"), Code.ALREADY_EXPIRED),
]


async def test_bad_items_do_not_spoil_the_good_ones(quiet: System, rows: Rows) -> None:
    before = await rows()
    mixed = [one for bad, _ in BAD for one in (item(), bad)]
    answer = await quiet.call("POST", BULK, {"notifications": mixed})
    assert (answer.body["accepted"], answer.body["rejected"]) == (len(BAD), len(BAD))
    for number, (_, code) in enumerate(BAD):
        good, bad = answer.body["results"][2 * number : 2 * number + 2]
        assert good.keys() == {"index", "notification_id"}
        assert bad.keys() == {"index", "problem"}
        assert bad["index"] == 2 * number + 1
        assert_problem_document(bad["problem"], code)
    assert (await rows())["notifications"] == before["notifications"] + len(BAD)


async def test_all_bad(quiet: System, rows: Rows) -> None:
    before = await rows()
    answer = await quiet.call("POST", BULK, {"notifications": [bad for bad, _ in BAD]})
    assert answer.status == 202
    assert (answer.body["accepted"], answer.body["rejected"]) == (0, len(BAD))
    assert await rows() == before


async def test_the_same_key_inside_one_request(quiet: System, rows: Rows) -> None:
    before = await rows()
    same, other = item(1, idempotency_key="bulk-1"), item(2, idempotency_key="bulk-1")
    filler = [item(number) for number in range(600)]  # so that the last ones are in another batch
    answer = await quiet.call(
        "POST", BULK, {"notifications": [same, same, other, *filler, same, other]}
    )
    first, second, third, *_, fourth, fifth = answer.body["results"]
    assert first["notification_id"] == second["notification_id"] == fourth["notification_id"]
    assert_problem_document(third["problem"], Code.IDEMPOTENCY_CONFLICT, "idempotency_key")
    assert_problem_document(fifth["problem"], Code.IDEMPOTENCY_CONFLICT, "idempotency_key")
    assert (await rows())["notifications"] == before["notifications"] + 601


async def test_what_is_accepted_is_delivered(busy: System) -> None:
    answer = await busy.call("POST", BULK, {"notifications": [item(n) for n in range(50)]})
    for result in answer.body["results"]:
        assert (await busy.settled(result["notification_id"]))["status"] == "delivered"
