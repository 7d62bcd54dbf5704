"""Ids that sort by time, and the ranges that lead from one to the other."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuids
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain import ids

HIGHEST = UUID(int=2**128 - 1)

moments = st.datetimes(
    datetime(1970, 1, 1),
    datetime(9999, 12, 31),
    timezones=st.just(UTC),
)
any_uuid = st.uuids() | st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))
ordinals = st.integers(1, ids.MAX_DELIVERIES)


@st.composite
def notification_ids(draw: st.DrawFn) -> UUID:
    """A UUIDv7 of any time, as RFC 9562 lays it out."""
    milliseconds = draw(st.integers(0, 2**48 - 1))
    random_a, random_b = draw(st.integers(0, 2**12 - 1)), draw(st.integers(0, 2**62 - 1))
    return UUID(int=milliseconds << 80 | 7 << 76 | random_a << 64 | 2 << 62 | random_b)


@given(notification_ids(), ordinals)
def test_a_delivery_lies_in_the_range_of_its_notification(owner: UUID, ordinal: int) -> None:
    delivery = ids.delivery_id(owner, ordinal)
    first, last = ids.delivery_range(owner)
    assert owner < first <= delivery <= last
    low, high = ids.owner_range(delivery)
    assert low <= owner <= high < delivery


@given(notification_ids(), ordinals)
def test_a_delivery_has_the_time_of_its_notification(owner: UUID, ordinal: int) -> None:
    low_bits = owner.int & (2**62 - 1)
    if low_bits + ids.MAX_DELIVERIES < 2**62:
        assert owner.int >> 80 == ids.delivery_id(owner, ordinal).int >> 80


@given(any_uuid)
def test_any_uuid_may_be_asked_for(uuid: UUID) -> None:
    """Ids come from outside: none of them may break the arithmetic."""
    for low, high in (ids.delivery_range(uuid), ids.owner_range(uuid)):
        assert UUID(int=0) <= low <= high <= HIGHEST


def test_the_edges() -> None:
    assert ids.delivery_range(HIGHEST) == (HIGHEST, HIGHEST)
    assert ids.owner_range(UUID(int=0)) == (UUID(int=0), UUID(int=0))


@given(moments, moments)
def test_bounds_sort_as_their_times(one: datetime, other: datetime) -> None:
    if one <= other:
        assert ids.first_at(one) <= ids.first_at(other)


@given(moments)
def test_a_bound_says_its_time_to_the_millisecond(moment: datetime) -> None:
    difference = moment - ids.time_of(ids.first_at(moment))
    assert timedelta() <= difference < timedelta(milliseconds=1)


@given(st.datetimes(timezones=st.timezones()))
def test_every_time_has_a_bound(moment: datetime) -> None:
    assert UUID(int=0) <= ids.first_at(moment) <= HIGHEST


def test_ids_made_in_a_row_sort() -> None:
    made = [uuids.uuid7() for _ in range(2_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    for one, other in itertools.pairwise(made):
        assert other.int - one.int > ids.MAX_DELIVERIES


def test_an_id_made_now_lies_behind_the_bound_of_now() -> None:
    before = datetime.now(UTC)
    made = uuids.uuid7()
    assert ids.first_at(before) <= made < ids.first_at(datetime.now(UTC) + timedelta(seconds=1))
