"""Sharing between lanes: urgent first, nobody starves, nothing is offered that there is no room for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.channels import Channel
from tidings.domain.fairness import PROBE, WEIGHTS, Room, Sharing
from tidings.domain.lanes import Lane, lane_number
from tidings.domain.priorities import Priority

lanes = st.builds(
    lambda priority, app, channel: Lane(priority, lane_number(app, channel)),
    st.sampled_from(Priority),
    st.integers(1, 4),
    st.sampled_from(Channel),
)
rooms = st.dictionaries(
    st.sampled_from(Channel),
    st.integers(0, 300).flatmap(
        lambda critical: st.integers(0, critical).map(lambda ordinary: Room(ordinary, critical))
    ),
)


def lane(priority: Priority, app: int = 1, channel: Channel = Channel.EMAIL) -> Lane:
    return Lane(priority, lane_number(app, channel))


def share(sharing: Sharing, waiting: list[Lane], most: int = 100, rounds: int = 1) -> Counter[Lane]:
    """What each lane is offered over some rounds, when all of them always have more."""
    given: Counter[Lane] = Counter()
    for _ in range(rounds):
        for offer in sharing.offers(waiting, [], most, most, {}):
            given[offer.lane] += offer.places
    return given


@given(
    st.lists(lanes, unique=True, max_size=12),
    st.lists(lanes, unique=True, max_size=12),
    st.integers(1, 300).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most))),
    rooms,
)
def test_no_more_is_offered_than_there_is(
    waiting: list[Lane],
    silent: list[Lane],
    places: tuple[int, int],
    room: dict[Channel | None, Room],
) -> None:
    most, ordinary = places
    silent = [one for one in silent if one not in waiting]
    offers = Sharing().offers(waiting, silent, most, ordinary, room)
    assert len({offer.lane for offer in offers}) == len(offers)
    assert {offer.lane for offer in offers} <= {*waiting, *silent}
    others = [offer for offer in offers if offer.lane.priority is not Priority.CRITICAL]
    assert sum(offer.places for offer in offers) <= most
    assert sum(offer.places for offer in others) <= ordinary
    for channel, one in room.items():
        of_channel = [offer for offer in offers if offer.lane.channel is channel]
        assert sum(offer.places for offer in of_channel) <= one.critical
        assert (
            sum(offer.places for offer in others if offer.lane.channel is channel) <= one.ordinary
        )
    urgent = [offer.lane.priority is Priority.CRITICAL for offer in offers]
    assert urgent == sorted(urgent, reverse=True)


@given(
    st.lists(lanes, unique=True, min_size=1, max_size=10),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_all_places_are_offered_and_none_starves(
    waiting: list[Lane], most: int, random: object
) -> None:
    sharing = Sharing()
    rounds = 400
    given = share(sharing, waiting, most, rounds)
    critical = [one for one in waiting if one.priority is Priority.CRITICAL]
    assert given.total() == most * rounds
    if critical:
        assert sum(given[one] for one in critical) == most * rounds, "urgent work takes all it can"
        return
    apps = Counter((one.priority, one.app) for one in waiting)
    apps_of = Counter(priority for priority, _ in apps)
    ideal = {
        one: WEIGHTS[one.priority] / apps_of[one.priority] / apps[one.priority, one.app]
        for one in waiting
    }
    for one in waiting:
        due = most * rounds * ideal[one] / sum(ideal.values())
        assert abs(given[one] - due) <= 2, "to within a place or two, whatever the number of rounds"


def test_an_application_with_a_million_does_not_delay_anothers_ten() -> None:
    big, small = lane(Priority.LOW, app=1), lane(Priority.LOW, app=2)
    given = share(Sharing(), [big, small], most=100)
    assert given == {big: 50, small: 50}


def test_lower_priorities_keep_a_share_under_a_flood_of_higher_ones() -> None:
    flood = [lane(Priority.HIGH, app) for app in range(1, 50)]
    low = lane(Priority.LOW, app=99)
    given = share(Sharing(), [*flood, low], most=70, rounds=10)
    assert given[low] == 100  # of 700, by 6 to 1


def test_a_silent_lane_is_looked_into_though_others_could_take_all() -> None:
    busy, silent = lane(Priority.LOW), lane(Priority.CRITICAL, app=2)
    offers = {offer.lane: offer.places for offer in Sharing().offers([busy], [silent], 64, 56, {})}
    assert offers[silent] > 0
    assert offers[busy] >= 48


def test_a_short_turn_is_not_spent_on_lanes_in_which_nothing_was_seen() -> None:
    busy, critical, quiet = lane(Priority.LOW), lane(Priority.CRITICAL, 2), lane(Priority.HIGH, 3)
    offers = {
        offer.lane: offer.places
        for offer in Sharing().offers([busy], [critical, quiet], 256, 24, {})
    }
    assert offers == {critical: PROBE, busy: 24}


def test_where_nothing_waits_any_silent_lane_is_looked_into_however_few_the_places() -> None:
    quiet = lane(Priority.LOW)
    assert [offer.lane for offer in Sharing().offers([], [quiet], 4, 3, {})] == [quiet]


def test_a_channel_without_room_leaves_its_share_to_others() -> None:
    mail, feed = lane(Priority.LOW), lane(Priority.LOW, channel=Channel.IN_APP)
    offers = Sharing().offers([mail, feed], [], 100, 100, {Channel.EMAIL: Room(0, 3)})
    assert [(offer.lane, offer.places) for offer in offers] == [(feed, 100)]
