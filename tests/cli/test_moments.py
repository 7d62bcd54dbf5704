"""Times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from tidings.cli.moments import in_the_future, in_the_past


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        (" 7 d ", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_spans(written: str, span: timedelta) -> None:
    before = datetime.now(UTC)
    ago, ahead = in_the_past(written), in_the_future(written)
    after = datetime.now(UTC)
    assert before - span <= ago <= after - span
    assert before + span <= ahead <= after + span


def test_times() -> None:
    expected = datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert in_the_past("2026-03-01T09:00:00Z") == expected
    assert in_the_future("2026-03-01T11:00:00+02:00") == expected
    assert in_the_past("2026-03-01 09:00").tzinfo is not None


@pytest.mark.parametrize("written", ["", "tomorrow", "-2h", "2y", "2026-13-01"])
def test_nonsense(written: str) -> None:
    with pytest.raises(typer.BadParameter):
        in_the_past(written)


def test_a_span_before_all_time() -> None:
    with pytest.raises(typer.BadParameter):
        in_the_past("999999w")
