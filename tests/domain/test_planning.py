"""Planning: which deliveries a notification gets, and why."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.categories import Category
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.planning import UNREACHABLE, Situation, plan, reachable
from tidings.domain.preferences import Preferences, Rule, choose
from tidings.domain.reasons import Reason
from tidings.domain.send_times import DISTURBING, Deferral

channels = st.sampled_from(Channel)
addresses = st.sampled_from(["a", "b", "c", "d"])
choices = st.dictionaries(channels, st.booleans())
LATER = datetime(2030, 1, 1, tzinfo=UTC)
deferrals = st.sampled_from(
    [
        None,
        Deferral(Reason.QUIET_HOURS, LATER),
        Deferral(Reason.SEND_WINDOW, LATER),
        Deferral(Reason.NO_SEND_TIME, None),
    ]
)
situations = st.builds(
    Situation,
    requested=st.none() | st.lists(channels, min_size=1, max_size=6),
    routing=st.sampled_from(["all", "fallback"]),
    category=st.builds(
        Category,
        st.sampled_from(["billing", "social"]),
        channels=choices,
        mandatory=st.booleans(),
    ),
    template_id=st.sampled_from(["note", "news"]),
    content=st.sets(channels),
    accounts=st.sets(channels),
    addresses=st.dictionaries(channels, st.lists(addresses, max_size=5)),
    preferences=st.builds(
        Preferences,
        choices,
        st.dictionaries(st.sampled_from(["billing", "social"]), choices),
        st.dictionaries(st.sampled_from(["note", "news"]), choices),
    ),
    suppressed=st.sets(st.tuples(channels, addresses)),
    deferral=deferrals,
)


@given(situations)
def test_one_delivery_per_channel_and_address(situation: Situation) -> None:
    planned = plan(situation)
    counted = Counter((one.channel, one.address) for one in planned)
    assert set(counted.values()) <= {1}
    for one in planned:
        if one.address is not None:
            assert one.address in situation.addresses[one.channel]


@given(situations)
def test_every_requested_channel_is_answered_in_order(situation: Situation) -> None:
    order = list(dict.fromkeys(one.channel for one in plan(situation)))
    if situation.requested is not None:
        assert order == list(dict.fromkeys(situation.requested))
    else:
        usable = {channel for channel in situation.content if situation.addresses.get(channel)}
        assert order == [channel for channel in Channel if channel in usable]


@given(situations)
def test_every_verdict_has_its_reason(situation: Situation) -> None:
    for one in plan(situation):
        suppressed = (one.channel, one.address) in situation.suppressed
        choice = choose(
            situation.preferences, situation.category, situation.template_id, one.channel
        )
        wanted = choice.wanted
        waits = situation.deferral if one.channel in DISTURBING else None
        assert one.rule == (None if one.reason in UNREACHABLE else choice.rule)
        match one.reason:
            case None:
                assert one.status is DeliveryStatus.PENDING
                assert one.queued
                assert wanted
                assert not suppressed
                assert waits is None
            case Reason.QUIET_HOURS | Reason.SEND_WINDOW:
                assert waits is not None
                assert (one.reason, one.until) == (waits.reason, LATER)
                assert one.status is DeliveryStatus.PENDING
                assert one.queued
            case Reason.NO_SEND_TIME:
                assert waits is not None
                assert waits.until is None
                assert one.status is DeliveryStatus.SKIPPED
            case Reason.NO_CONTENT:
                assert one.channel not in situation.content
            case Reason.NO_ACCOUNT:
                assert one.channel not in situation.accounts
            case Reason.NO_ADDRESS:
                assert not situation.addresses.get(one.channel)
            case Reason.ADDRESS_SUPPRESSED:
                assert suppressed
                assert one.status is DeliveryStatus.SUPPRESSED
            case Reason.PREFERENCE_OFF | Reason.NOT_CHOSEN:
                assert not wanted
                assert (one.reason is Reason.NOT_CHOSEN) == (choice.rule is Rule.CATEGORY_DEFAULT)
                assert one.status is DeliveryStatus.SKIPPED
            case Reason.FALLBACK_WAITING:
                assert situation.routing == "fallback"
                assert one.status is DeliveryStatus.PENDING
            case _:
                raise AssertionError(one.reason)
        assert (one.reason in UNREACHABLE) == (one.address is None)


@given(situations)
def test_a_fallback_starts_with_the_first_that_can_be_tried(situation: Situation) -> None:
    planned = plan(situation)
    pending = [one for one in planned if one.status is DeliveryStatus.PENDING]
    queued = [one for one in planned if one.queued]
    if situation.routing == "all":
        assert queued == pending
    else:
        assert queued == pending[:1]
        assert all(one.reason is Reason.FALLBACK_WAITING for one in pending[1:])


@given(situations)
def test_routing_changes_only_who_waits(situation: Situation) -> None:
    def bare(routing: str) -> list[tuple[object, ...]]:
        planned = plan(
            Situation(
                **{
                    name: getattr(situation, name)
                    for name in Situation.__dataclass_fields__
                    if name != "routing"
                },
                routing=routing,  # type: ignore[arg-type]
            )
        )
        return [(one.channel, one.address, one.status) for one in planned]

    assert bare("all") == bare("fallback")


@given(situations)
def test_reachable(situation: Situation) -> None:
    """What the recipient does not want, or must not get, still counts as reachable."""
    planned = plan(situation)
    assert reachable(planned) == any(one.address is not None for one in planned)


def test_the_first_rule_that_says_anything_decides() -> None:
    preferences = Preferences(
        {Channel.EMAIL: False, Channel.SMS: True},
        {"news": {Channel.EMAIL: True, Channel.SMS: False, Channel.PUSH: False}},
        {"weekly": {Channel.SMS: True, Channel.EMAIL: True}},
    )
    news = Category("news", channels={Channel.CHAT: False})

    def chosen(channel: Channel, template: str = "daily", category: Category = news) -> object:
        found = choose(preferences, category, template, channel)
        return found.wanted, found.rule

    assert chosen(Channel.EMAIL) == (False, Rule.CHANNEL_OFF)
    assert chosen(Channel.EMAIL, "weekly") == (False, Rule.CHANNEL_OFF)
    assert chosen(Channel.SMS) == (False, Rule.CATEGORY_CHOICE)
    assert chosen(Channel.SMS, "weekly") == (True, Rule.TEMPLATE_CHOICE)
    assert chosen(Channel.PUSH) == (False, Rule.CATEGORY_CHOICE)
    assert chosen(Channel.CHAT) == (False, Rule.CATEGORY_DEFAULT)
    assert chosen(Channel.IN_APP) == (True, Rule.CATEGORY_DEFAULT)
    mandatory = Category("news", mandatory=True)
    assert chosen(Channel.EMAIL, category=mandatory) == (True, Rule.MANDATORY)
