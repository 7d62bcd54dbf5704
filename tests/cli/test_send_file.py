"""`tidings send --file`: many, none lost, none doubled, and a reason for each that is refused."""

import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Cli, Serving, ids, in_process_of_its_own, on_a_terminal
from tests.cli.cutting import cutting
from tests.cli.stub import CUT, Answer, accepted, answering, problem
from tidings.cli import bulk
from tidings.cli.bulk import Line, Result
from tidings.cli.client import ProblemError, open_api
from tidings.cli.config import load_settings

NAMES = ["Ada", "Žofie", "李小龍", "محمد", "Ελένη", "😀", 'O\'Brien "x"', "a\\nb"]


def line(address: str, **more: Any) -> str:
    return json.dumps(
        {"template_id": "note", "recipient": {"email": address}, **more}, ensure_ascii=False
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notifications.jsonl"
    mark = uuid.uuid4().hex
    path.write_text(
        "\n".join(
            line(f"{n}@example.com", data={"name": NAMES[n % len(NAMES)]}, correlation_id=mark)
            for n in range(1_200)
        ),
        encoding="utf-8",
    )
    return path


def test_all_are_accepted_and_a_rerun_doubles_nothing(tidings: Cli, note: str, file: Path) -> None:
    first = tidings("send", "--file", file, "--json")
    assert [one["line"] for one in first.documents] == list(range(1, 1_201))
    assert len(set(ids(first))) == 1_200
    assert "1,200 accepted, 0 refused" in first.err
    rerun = tidings("send", "--file", file, "--json")
    assert rerun.documents == []
    assert "1,200 lines were done before" in rerun.err
    again = tidings("send", "--file", file, "--json", "--idempotency-prefix", uuid.uuid4().hex)
    assert not set(ids(again)) & set(ids(first))
    assert len(set(ids(again))) == 1_200


def test_a_batch_is_made_and_shown(tidings: Cli, note: str, file: Path) -> None:
    lines = file.read_text().splitlines()
    lines[0] = json.dumps({"defaults": {"template_id": "note", "data": {"name": "All"}}})
    lines[1] = '{"recipient": {"email": "a@example.com"}}'
    file.write_text("\n".join(lines))
    ended = tidings("send", "--file", file)
    assert "1,199 accepted, 0 refused" in ended.err
    batch_id = ended.err.partition("tidings batch show ")[2].partition(" ")[0]
    batch = tidings("batch", "show", batch_id, "--follow", "--interval", "0.1", "--json").documents
    assert batch[-1]["complete"]
    assert batch[-1]["deliveries"]["delivered"] == 1_199
    assert "1,199" in tidings("batch", "show", batch_id).out
    assert batch_id in [one["batch_id"] for one in tidings("batch", "list", "--json").documents]
    assert batch_id in tidings("batch", "list").out
    for what in ("pause", "resume", "retry", "cancel"):
        tidings("batch", what, batch_id)
    assert "cancelled" in tidings("batch", "pause", batch_id, status=1).err


def test_a_batch_is_gone_on_with(tidings: Cli, note: str, tmp_path: Path) -> None:
    """A part was sent, and the batch left open; the file goes on behind it."""
    mark = uuid.uuid4().hex
    lines = [json.dumps({"defaults": {"template_id": "note", "data": {"name": "All"}}})]
    lines += [
        json.dumps({"recipient": {"user_id": f"{mark}-{n}", "email": "a@example.com"}})
        for n in range(30)
    ]
    opened = _open_with(lines[:11])
    (tmp_path / "n.jsonl").write_text("\n".join(lines))
    ended = tidings("send", "--file", tmp_path / "n.jsonl", "--resume", opened, "--json")
    assert [one["line"] for one in ended.documents] == list(range(12, 32))
    assert "11 lines were done before" in ended.err
    batch = tidings("batch", "show", opened, "--json").document
    assert (batch["accepted"], batch["lines"], batch["sealed"]) == (30, 31, True)
    again = tidings("send", "--file", tmp_path / "n.jsonl", "--resume", opened, "--json")
    assert again.documents == []


def test_a_stream_that_breaks_goes_on_by_itself(
    tidings: Cli, note: str, tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut after so many bytes, twice; every line arrives once all the same."""
    mark = uuid.uuid4().hex
    (tmp_path / "n.jsonl").write_text(
        json.dumps(
            {"defaults": {"template_id": "note", "data": {"name": "All", "fill": "x" * 100}}}
        )
        + "\n"
        + "\n".join(
            json.dumps(
                {
                    "recipient": {"email": "a@example.com"},
                    "correlation_id": f"{mark}-{n}",
                    "metadata": {"fill": "x" * 500},
                }
            )
            for n in range(3_000)
        )
    )
    with cutting(serving.port, [600_000, 900_000]) as port:
        monkeypatch.setenv("TIDINGS_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("TIDINGS_API_KEY", (serving.data_dir / "api_key").read_text().strip())
        ended = tidings("send", "--file", tmp_path / "n.jsonl")
        batch_id = ended.err.partition("tidings batch show ")[2].partition(" ")[0]
        batch = tidings("batch", "show", batch_id, "--json").document
        assert (batch["accepted"], batch["lines"], batch["sealed"]) == (3_000, 3_001, True)
        for n in (0, 1_500, 2_999):
            found = tidings("list", "--correlation-id", f"{mark}-{n}", "--json").documents
            assert len(found) == 1


def _open_with(lines: list[str]) -> str:
    """A batch with these lines, by the API."""
    with open_api(load_settings()) as api:
        opened: str = api.post("batches", document={})["batch_id"]
        body = [("\n".join(lines) + "\n").encode()]
        list(api.stream("notifications", "bulk", body=body, headers={}, batch_id=opened))
    return opened


def test_texts_are_intact(tidings: Cli, note: str, file: Path) -> None:
    sent = ids(tidings("send", "--file", file, "--json"))[: len(NAMES)]
    for notification_id, name in zip(sent, NAMES, strict=True):
        tidings("status", notification_id, "--follow", "--interval", "0.1")
        kept = tidings("outbox", notification_id, "--json").document
        assert kept["content"]["subject"] == f"Hello {name}"


def test_refused_lines_are_reported_and_do_not_spoil_the_others(
    tidings: Cli, note: str, tmp_path: Path
) -> None:
    good = line("ada@example.com", data={"mark": uuid.uuid4().hex})
    deep = '{"template_id":"note","recipient":{"email":"a@b.cc"},"data":%s1%s}'
    lines = [
        "\N{ZERO WIDTH NO-BREAK SPACE}" + good,
        "",
        "not JSON",
        "[1]",
        line("not an address"),
        line("ada@example.com", template_id="none"),
        line("ada@example.com", idempotency_key=None),
        deep % ('{"a":' * 198, "}" * 198),
        '{"template_id":"note","recipient":{"email":"a@b.cc"},"data":{"n":1e999}}',
        good,
    ]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines), encoding="utf-8")
    ended = tidings(
        *("send", "--file", tmp_path / "mixed.jsonl", "--json"),
        *("--refused", tmp_path / "refused.jsonl"),
        status=1,
    )
    by_line = {one["line"]: one.get("problem", {}).get("code") for one in ended.documents}
    assert by_line == {
        1: None,
        3: "malformed_json",
        4: "invalid_request",
        5: "invalid_request",
        6: "unknown_template",
        7: None,
        8: by_line[8],
        9: by_line[9],
        10: None,
    }
    assert by_line[8] is not None
    assert by_line[9] is not None
    assert "3 accepted, 6 refused" in ended.err
    assert "not a valid email address" in ended.err
    assert (tmp_path / "refused.jsonl").read_text().splitlines() == lines[2:6] + lines[7:9]


def test_a_corrected_file_under_the_same_prefix_sends_only_the_corrected(
    tidings: Cli, note: str, tmp_path: Path
) -> None:
    path, prefix = tmp_path / "n.jsonl", uuid.uuid4().hex
    path.write_text(line("ada@example.com") + "\n" + line("wrong") + "\n")
    options = ("--idempotency-prefix", prefix, "--json")
    first = tidings("send", "--file", path, *options, status=1)
    path.write_text(line("ada@example.com") + "\n" + line("right@example.com") + "\n")
    second = tidings("send", "--file", path, *options)
    assert ids(second)[0] == ids(first)[0]
    assert len(ids(second)) == 2


def test_from_standard_input(tidings: Cli, note: str, file: Path, serving: Serving) -> None:
    few = b"\n".join(file.read_bytes().splitlines()[:3])
    ended = in_process_of_its_own(
        "send", "--file", "-", "--json", variables=serving.variables, given=few
    )
    assert ended.status == 0, ended.err
    assert len(ids(ended)) == 3
    (file.parent / "few").write_bytes(few)
    again = tidings("send", "--file", file.parent / "few", "--json")
    assert "3 lines were done before" in again.err


def test_progress_is_shown_on_a_terminal(serving: Serving, note: str, file: Path) -> None:
    shown = on_a_terminal("send", "--file", str(file), variables=serving.variables)
    assert "1200/1200" in shown
    assert "/s" in shown
    assert "1,200 accepted" in shown


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits take no time; what was waited."""
    waited: list[float] = []
    monkeypatch.setattr("tidings.cli.client.time.sleep", waited.append)
    return waited


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_URL", url)
    monkeypatch.setenv("TIDINGS_API_KEY", "tdg_any")


def test_an_api_that_is_away_is_waited_for_and_gets_the_same_again(
    alone: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: list[float]
) -> None:
    troubles: dict[int, Answer] = {
        1: problem(503, "unavailable", "Try again in a moment.", Retry_After="7"),
        2: CUT,
        3: (502, {}, "a proxy's page"),
    }
    (tmp_path / "n.jsonl").write_text("\n".join(line(f"{n}@example.com") for n in range(3)))
    with answering(lambda number, body: troubles.get(number) or accepted(body)) as stub:
        use(stub.url, monkeypatch)
        ended = alone("send", "--file", tmp_path / "n.jsonl", "--json", "--idempotency-prefix", "p")
    assert len(stub.bodies) == 4
    assert all(body == stub.bodies[0] for body in stub.bodies)
    keys = [one["idempotency_key"] for one in stub.bodies[0]["notifications"]]
    assert ids(ended) == keys
    assert len(set(keys)) == 3
    assert quick[0] == 7
    assert all(0 < wait < 2 for wait in quick[1:])


def test_giving_up_says_how_to_go_on(
    alone: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "n.jsonl").write_text("\n".join(line(f"{n}@example.com") for n in range(700)))
    with answering(lambda number, body: CUT if number > 1 else accepted(body)) as stub:
        use(stub.url, monkeypatch)
        ended = alone(
            *("send", "--file", tmp_path / "n.jsonl", "--json", "--retry-for", "0"),
            *("--idempotency-prefix", "p"),
            status=1,
        )
    assert len(ended.documents) == 500
    assert "broke off before an answer came" in ended.err
    assert "500 lines were accepted until then." in ended.err
    assert "doubles nothing" in ended.err


def test_a_single_send_is_repeated_under_one_key(
    alone: Cli, monkeypatch: pytest.MonkeyPatch, quick: list[float]
) -> None:
    with answering(lambda number, body: CUT if number == 1 else accepted(body)) as stub:
        use(stub.url, monkeypatch)
        alone("send", "-t", "note", "--to", "ada@example.com")
    assert len(stub.bodies) == 2
    assert len(quick) == 1


def test_another_refusal_of_the_whole_ends_it(
    alone: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "n.jsonl").write_text(line("a@example.com"))
    with answering(lambda *_: problem(403, "forbidden", "The role viewer may not send.")) as stub:
        use(stub.url, monkeypatch)
        ended = alone("send", "--file", tmp_path / "n.jsonl", "--idempotency-prefix", "p", status=1)
    assert len(stub.bodies) == 1
    assert "may not send" in ended.err


@given(
    st.dictionaries(
        st.text().filter(lambda name: name != "idempotency_key"),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        min_size=1,
        max_size=5,
    ),
    st.text(min_size=1, max_size=20),
    st.booleans(),
)
def test_a_line_stays_as_it_is_but_for_its_key(
    document: dict[str, Any], prefix: str, escaped: bool
) -> None:
    text = json.dumps(document, ensure_ascii=escaped)
    (read,) = bulk.read(io.BytesIO(f"\n  {text} \r\n".encode()), prefix)
    assert isinstance(read, Line)
    assert read.number == 2
    assert json.loads(read.body) == {"idempotency_key": f"{prefix}-2", **document}


def test_a_key_of_its_own_is_kept() -> None:
    text = b'{"idempotency_key": "mine", "a": 1}'
    (read,) = bulk.read(io.BytesIO(text), "prefix")
    assert read == Line(1, text)


def lines(count: int, size: int = 0) -> list[Line | Result]:
    return [Line(n, json.dumps({"n": n, "fill": "x" * size}).encode()) for n in range(1, count + 1)]


def answer_all(body: bytes) -> Any:
    return accepted(json.loads(body))[2]


def test_requests_are_bounded_in_lines_and_bytes() -> None:
    sizes: list[int] = []

    def post(body: bytes) -> Any:
        sizes.append(len(json.loads(body)["notifications"]))
        return answer_all(body)

    done: list[Result] = []
    bulk.send_all(lines(1_001), post, done.append)
    assert sizes == [500, 500, 1]
    assert [one.number for one in done] == list(range(1, 1_002))
    sizes.clear()
    bulk.send_all(lines(10, size=2**20), post, done.append)
    assert sizes == [3, 3, 3, 1]


@pytest.mark.parametrize("status", [400, 413])
def test_the_line_that_spoils_a_request_is_found(status: int) -> None:
    requests = 0

    def post(body: bytes) -> Any:
        nonlocal requests
        requests += 1
        if b'"n": 77,' in body:
            raise ProblemError(status, "some_code", "too much", [], "")
        return answer_all(body)

    done: list[Result] = []
    bulk.send_all(lines(300), post, done.append)
    assert sorted(one.number for one in done) == list(range(1, 301))
    assert [one for one in done if one.notification_id is None] == [
        Result(77, code="some_code", detail="too much")
    ]
    assert requests < 30
