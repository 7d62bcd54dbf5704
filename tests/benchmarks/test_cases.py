"""What Tidings is compared with: the best rival of a kind, whichever way it was asked."""

from dataclasses import replace

import pytest
from benchmarks.cases import CASES, Medians
from benchmarks.measure import Result
from benchmarks.report import verdicts
from benchmarks.rivals import kinds

RESULT = Result(
    rate=1000, cpu=1, cpu_parts={}, p50_ms=1, p99_ms=2, peak_mb=1, asked=1, accepted=1, lost=0,
    doubled=0, unsettled=0,
)  # fmt: skip

MEDIANS: Medians = {
    ("webhook-bulk", "tidings"): replace(RESULT, rate=4000, cpu=0.4),
    ("webhook-single", "celery"): replace(RESULT, rate=400, cpu=4),
    ("webhook-single", "bullmq"): replace(RESULT, rate=1500, cpu=0.5),
    ("webhook-bulk", "bullmq"): replace(RESULT, rate=2000, cpu=0.8),
    ("smtp-bulk", "bullmq"): replace(RESULT, rate=9000, cpu=0.1),
}


def found(name: str, medians: Medians) -> dict[str, tuple[float | None, bool | None]]:
    case = next(case for case in CASES if case.name == name)
    return {target.words: (value, reached) for target, value, reached in verdicts(case, medians)}


def test_the_best_rival_counts_whichever_way_it_was_asked() -> None:
    assert found("webhook-bulk", MEDIANS) == {
        "x Celery": (10, True),
        "x the best rival": (2, True),
        "x the thriftiest rival's CPU": (0.8, True),
    }


def test_a_target_missed_is_told() -> None:
    slower = {**MEDIANS, ("webhook-bulk", "tidings"): replace(RESULT, rate=3000, cpu=0.6)}
    assert found("webhook-bulk", slower) == {
        "x Celery": (7.5, True),
        "x the best rival": (1.5, False),
        "x the thriftiest rival's CPU": (1.2, False),
    }


def test_without_a_rival_nothing_is_concluded() -> None:
    alone = {key: result for key, result in MEDIANS.items() if key[1] == "tidings"}
    assert set(found("webhook-bulk", alone).values()) == {(None, None)}


@pytest.mark.parametrize("rival", kinds.RIVALS, ids=lambda rival: rival.name)
def test_a_rival_that_cannot_run_here_says_what_is_missing(
    rival: kinds.Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    why = kinds.missing(rival)
    if rival.redis:
        assert "redis-server is missing" in why
    elif why:
        assert "is missing; scripts/bench makes it" in why
