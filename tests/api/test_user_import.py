"""Many users at once: as JSON lines and as CSV, with what is wrong named line by line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.problem import assert_problem
from tests.support.system import System
from tidings.api.problems import Code
from tidings.api.routes.lines import Line
from tidings.api.routes.records import Record, Records, cells
from tidings.store.api_keys import Role

pytestmark = pytest.mark.anyio

NDJSON, CSV = "application/x-ndjson", "text/csv; charset=utf-8"


async def bring(system: System, body: str | bytes, kind: str = NDJSON) -> list[dict[str, Any]]:
    """The lines of the answer."""
    request = system.client.post(f"{system.url}/users/import").bearer_auth(system.keys[Role.SENDER])
    raw = body.encode() if isinstance(body, str) else body
    response = await request.header("content-type", kind).body_bytes(raw).build().send()
    assert response.status == 202
    return [json.loads(line) for line in (await response.text()).splitlines()]


async def read(system: System, user_id: str) -> Any:
    answer = await system.call("GET", f"/users/{user_id}")
    assert answer.status == 200, answer.body
    return answer.body


def total(answer: list[dict[str, Any]]) -> dict[str, Any]:
    assert answer[-1].pop("done")
    return answer[-1]


async def test_json_lines_create_change_and_leave_alone(quiet: System) -> None:
    await quiet.call("PUT", "/users/nd-2", {"email": "two@example.com", "attributes": {"a": 1}})
    await quiet.call("PUT", "/users/nd-3", {"locale": "de"})
    lines = [
        {"user_id": "nd-1", "email": "one@example.com", "attributes": {"plan": "pro"}},
        {"user_id": "nd-2", "phone": "+15551234567", "attributes": {"b": 2}},
        {"user_id": "nd-3", "locale": "de"},
        {"user_id": "nd-1", "timezone": "Europe/Paris"},
    ]
    answer = await bring(quiet, "\ufeff" + "\n\n".join(map(json.dumps, lines)))
    assert total(answer) == {
        "lines": 7,
        "created": 1,
        "changed": 1,
        "unchanged": 1,
        "refused": 0,
    }
    one, two = await read(quiet, "nd-1"), await read(quiet, "nd-2")
    assert (one["email"], one["timezone"]) == ("one@example.com", "Europe/Paris")
    assert (two["email"], two["phone"]) == ("two@example.com", "+15551234567")
    assert two["attributes"] == {"a": 1, "b": 2}


async def test_bad_lines_are_named_and_do_not_spoil_the_others(quiet: System) -> None:
    body = "\n".join(
        [
            '{"user_id": "good-1"}',
            '{"user_id": "bad", "email": "nope"}',
            "no json",
            '{"email": "a@example.com"}',
            '["list"]',
            '{"user_id": "good-2", "shoe_size": 44}',
            '{"user_id": "good-3"}',
        ]
    )
    answer = await bring(quiet, body)
    wrong = {
        one["line"]: (one["problem"]["code"], [e["path"] for e in one["problem"].get("errors", [])])
        for one in answer
        if "line" in one
    }
    assert wrong == {
        2: ("invalid_request", ["email"]),
        3: ("malformed_json", []),
        4: ("invalid_request", ["user_id"]),
        5: ("invalid_request", [""]),
        6: ("invalid_request", ["shoe_size"]),
    }
    assert total(answer)["refused"] == 5
    await read(quiet, "good-1")
    await read(quiet, "good-3")
    assert_problem(await quiet.call("GET", "/users/bad"), Code.NOT_FOUND)


async def test_csv_with_a_head(quiet: System) -> None:
    body = (
        "user_id,email,attributes.city,attributes\r\n"
        'csv-1,c1@example.com,"Wien, ""Mitte""\nzweite Zeile",\r\n'
        "\r\n"
        'csv-2,,Graz,"{""age"": 44}"\r\n'
        "csv-3,nope,,\r\n"
        "csv-4,c4@example.com\r\n"
        'csv-5,,,"[1]"\r\n'
    )
    answer = await bring(quiet, body, CSV)
    assert (await read(quiet, "csv-1"))["attributes"] == {"city": 'Wien, "Mitte"\nzweite Zeile'}
    two = await read(quiet, "csv-2")
    assert (two["email"], two["attributes"]) == (None, {"city": "Graz", "age": 44})
    wrong = {one["line"]: one["problem"]["errors"][0]["path"] for one in answer if "line" in one}
    assert wrong == {6: "email", 7: "line", 8: "attributes"}
    assert total(answer)["created"] == 2


async def test_csv_as_spreadsheets_write_it(quiet: System) -> None:
    answer = await bring(quiet, "\ufeffuser_id;locale\nsheet-1;de\n", CSV)
    assert total(answer)["created"] == 1
    assert (await read(quiet, "sheet-1"))["locale"] == "de"


@pytest.mark.parametrize(
    "head", ["email,phone", "user_id,user_id", "user_id,shoe", "user_id,attributes."]
)
async def test_csv_without_a_good_head_stores_nothing(quiet: System, head: str) -> None:
    answer = await bring(quiet, f"{head}\nheadless,x\n", CSV)
    assert answer[-1]["problem"]["code"] == "invalid_request"
    assert answer[-1]["created"] == 0


async def test_other_types_are_refused(quiet: System) -> None:
    answer = await quiet.call("POST", "/users/import", {"user_id": "x"})
    assert_problem(answer, Code.INVALID_REQUEST)


async def test_more_than_one_slice(quiet: System) -> None:
    body = "\n".join(
        json.dumps({"user_id": f"many-{n}", "email": f"m{n}@example.com"}) for n in range(1_203)
    )
    answer = await bring(quiet, body)
    assert len(answer) > 2
    assert total(answer)["created"] == 1_203


async def test_a_line_that_is_too_long(quiet: System) -> None:
    body = (
        b'{"user_id": "long", "attributes": {"a": "' + b"x" * 300_000 + b'"}}\n{"user_id": "short"}'
    )
    answer = await bring(quiet, body)
    assert [one["problem"]["code"] for one in answer if "line" in one] == ["body_too_large"]
    await read(quiet, "short")


# ---------------------------------------------------------------- records

CELL = st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.lists(CELL, min_size=2, max_size=4), max_size=8))
def test_records_come_out_as_they_were_written(rows: list[list[str]]) -> None:
    text = "".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows
    )
    lines = [Line(n, one) for n, one in enumerate(text.encode().split(b"\n")[:-1], start=1)]
    records = Records(10_000)
    found = [*records.feed(lines), *records.end()]
    assert [cells(one.text or b"") for one in found] == rows
    assert len({one.number for one in found}) == len(found)


def test_a_quote_that_is_never_closed_costs_no_more_than_a_record() -> None:
    records = Records(20)
    lines = [Line(1, b'a,"b'), Line(2, b"x" * 10), Line(3, b"y" * 10), Line(4, b"c,d")]
    assert [*records.feed(lines), *records.end()] == [Record(1, None), Record(4, b"c,d\n")]
