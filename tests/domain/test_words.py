"""Statuses and what they add up to, priorities, and the closed list of reasons."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.deliveries import FALLS_BACK, SIGNIFICANCE, DeliveryStatus, rollup, significance
from tidings.domain.outcomes import OUTCOME_WORDS, Outcome
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason

statuses = st.lists(st.sampled_from(DeliveryStatus), min_size=1, max_size=12)


def test_every_status_has_its_significance() -> None:
    assert sorted(SIGNIFICANCE) == sorted(DeliveryStatus)


@given(statuses, st.randoms(use_true_random=False))
def test_rollup_is_one_of_them_in_any_order(found: list[DeliveryStatus], random: object) -> None:
    result = rollup(found)
    assert result in found
    assert all(significance(result) <= significance(one) for one in found)
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert rollup(iter(shuffled)) is result


@given(statuses, statuses)
def test_rollup_of_rollups(one: list[DeliveryStatus], other: list[DeliveryStatus]) -> None:
    assert rollup([rollup(one), rollup(other)]) is rollup(one + other)


def test_what_reached_the_person_says_most() -> None:
    others = set(DeliveryStatus) - {DeliveryStatus.DELIVERED}
    assert rollup([*others, DeliveryStatus.DELIVERED]) is DeliveryStatus.DELIVERED
    assert rollup([DeliveryStatus.FAILED, DeliveryStatus.PENDING]) is DeliveryStatus.PENDING


def test_no_channel_is_tried_after_one_that_may_have_arrived() -> None:
    may_have_arrived = {DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.UNKNOWN}
    assert not FALLS_BACK & may_have_arrived
    assert not FALLS_BACK & {DeliveryStatus.PENDING, DeliveryStatus.CANCELLED}


def test_priorities_sort_by_urgency() -> None:
    words = ["critical", "high", "medium", "low"]
    assert [priority.word for priority in sorted(Priority)] == words
    assert [Priority.of(priority.word) for priority in Priority] == list(Priority)


def test_reasons_are_codes_with_a_text() -> None:
    assert len({reason.value for reason in Reason}) == len(Reason)
    for reason in Reason:
        assert reason.isidentifier()
        assert reason == reason.lower()
        assert reason.text.endswith(".")
        assert Reason.__members__[reason.upper()] is reason


def test_every_outcome_has_a_word() -> None:
    assert set(OUTCOME_WORDS) == set(Outcome.__args__)
