"""Which account takes a message."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.channels import Channel
from tidings.domain.provider import Account
from tidings.domain.routing import Choice, Facts, Routed, fits, needed, route

FACTS = Facts(category="billing", country="DE", sender_domain="shop.example")


def account(name: str, **more: Any) -> Account:
    return Account(name, "smtp", (Channel.EMAIL,), False, 10.0, **more)


def routed(
    *accounts: Account,
    facts: Facts = FACTS,
    pinned: str | None = None,
    avoid: tuple[str, ...] = (),
    blocked: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
    busy: tuple[str, ...] = (),
    uniform: float = 0.5,
) -> Routed:
    return route(
        accounts,
        facts,
        pinned=pinned,
        avoid=avoid,
        blocked=lambda name: name in blocked,
        limited=lambda name: name in limited,
        busy=lambda name: name in busy,
        uniform=uniform,
    )


FIRST, SECOND = account("first", order=1), account("second", order=2)


@pytest.mark.parametrize(
    ("situation", "name", "choice"),
    [
        ({}, "first", Choice.FIRST),
        ({"blocked": ("first",)}, "second", Choice.AFTER_BLOCKED),
        ({"avoid": ("first",)}, "second", Choice.AFTER_FAILURE),
        ({"avoid": ("first", "second")}, "first", Choice.FIRST),
        ({"limited": ("first",)}, "second", Choice.AFTER_LIMITED),
        ({"limited": ("first",), "busy": ("second",)}, "second", Choice.AFTER_LIMITED),
        ({"limited": ("first", "second")}, "first", Choice.FIRST),
        ({"busy": ("first",)}, "second", Choice.AFTER_BUSY),
        ({"busy": ("first", "second")}, "first", Choice.FIRST),
        ({"busy": ("second",), "blocked": ("first",)}, "second", Choice.AFTER_BLOCKED),
        ({"pinned": "second"}, "second", Choice.PINNED),
        ({"pinned": "second", "busy": ("second",)}, "second", Choice.PINNED),
        ({"pinned": "second", "blocked": ("second",)}, None, Choice.PINNED),
        ({"blocked": ("first", "second")}, None, None),
        ({"avoid": ("first",), "blocked": ("second",)}, None, None),
    ],
)
def test_of_two(situation: dict[str, Any], name: str | None, choice: Choice | None) -> None:
    result = routed(FIRST, SECOND, **situation)
    assert (result.account and result.account.name, result.choice) == (name, choice)
    assert result.fits


def test_only_the_pinned_one_may_take_it_whatever_became_of_it() -> None:
    """It may have sent the message: no other does so again."""
    assert routed(FIRST, SECOND, pinned="gone") == Routed(None, fits=False)
    elsewhere = account("elsewhere", countries=("AT",))
    assert routed(FIRST, elsewhere, pinned="elsewhere").account is elsewhere


def test_one_alone() -> None:
    assert routed(FIRST).choice is Choice.ONLY
    assert routed() == Routed(None, fits=False)


@pytest.mark.parametrize(
    ("conditions", "takes"),
    [
        ({}, True),
        ({"categories": ("billing", "security")}, True),
        ({"categories": ("security",)}, False),
        ({"countries": ("AT", "DE")}, True),
        ({"countries": ("AT",)}, False),
        ({"sender_domains": ("shop.example",)}, True),
        ({"sender_domains": ("other.example",)}, False),
        ({"sender_domains": ("other.example",), "sender_domain": "other.example"}, False),
        ({"categories": ("billing",), "countries": ("AT",)}, False),
    ],
)
def test_conditions(conditions: dict[str, Any], takes: bool) -> None:
    assert fits(account("one", **conditions), FACTS) is takes


def test_without_a_sender_the_account_s_own_counts() -> None:
    facts = Facts(category="billing")
    conditions = {"sender_domains": ("shop.example",)}
    assert fits(account("one", sender_domain="shop.example", **conditions), facts)
    assert not fits(account("one", sender_domain="other.example", **conditions), facts)
    assert not fits(account("one", **conditions), facts)


@pytest.mark.parametrize(
    ("channel", "payload", "chosen"),
    [
        (Channel.EMAIL, {"email": {"cc": ["bob@example.com"]}}, "second"),
        (Channel.EMAIL, {"email": {"bcc": ["bob@example.com"]}}, "second"),
        (Channel.EMAIL, {"email": {"reply_to": "help@example.com"}}, "first"),
        (Channel.EMAIL, {}, "first"),
        (Channel.SMS, {"email": {"cc": ["bob@example.com"]}}, "first"),
    ],
)
def test_copies_go_to_an_account_that_passes_them_on(
    channel: Channel, payload: dict[str, Any], chosen: str
) -> None:
    second = account("second", order=2, features=("headers", "cc and bcc"))
    result = routed(FIRST, second, facts=Facts("billing", needs=needed(channel, payload)))
    assert result.account is not None
    assert result.account.name == chosen


def test_weights_share_a_tier() -> None:
    accounts = [account("a", weight=3), account("b", weight=1), account("later", order=1)]
    drawn = Counter(
        result.account.name
        for step in range(400)
        if (result := routed(*accounts, uniform=step / 400)).account
    )
    assert drawn == {"a": 300, "b": 100}


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.floats(0.1, 5)),
        max_size=5,
    ),
    st.sets(st.integers(0, 4)),
    st.sets(st.integers(0, 4)),
    st.none() | st.integers(0, 6),
    st.floats(0, 1),
)
def test_never_past_a_pin_never_one_that_is_held_back(
    declared: list[tuple[int, float]],
    avoid: set[int],
    blocked: set[int],
    pinned: int | None,
    uniform: float,
) -> None:
    accounts = [
        account(str(number), order=order, weight=weight)
        for number, (order, weight) in enumerate(declared)
    ]
    result = routed(
        *accounts,
        pinned=None if pinned is None else str(pinned),
        avoid=tuple(map(str, avoid)),
        blocked=tuple(map(str, blocked)),
        uniform=uniform,
    )
    names = {one.name for one in accounts}
    assert result.fits is (bool(names) if pinned is None else str(pinned) in names)
    if result.account is None:
        return
    assert int(result.account.name) not in blocked
    if pinned is not None:
        assert result.account.name == str(pinned)
    elif names - set(map(str, avoid)):
        assert int(result.account.name) not in avoid
