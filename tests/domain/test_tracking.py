"""Person or machine: by agent, by company, by time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.tracking import PIXEL, Hit, Rule, Tracking, TrackingChoice, judge

SENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOON = timedelta(seconds=2)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_AHEAD = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)


def hit(link: int, seconds: float, agent: str = FIREFOX, **more: bool) -> Hit:
    return Hit(link, SENT + timedelta(seconds=seconds), agent=agent, **more)


def judged(*hits: Hit, links: int = 5, sent_at: datetime | None = SENT) -> list[Rule]:
    return judge(hits, sent_at, links=links, soon=SOON)


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (hit(1, 60), Rule.PERSON),
        (hit(1, 60, IPHONE), Rule.PERSON),
        (hit(PIXEL, 60), Rule.PERSON),
        (hit(PIXEL, 60, GMAIL), Rule.IMAGE_PROXY),
        (hit(PIXEL, 1, GMAIL), Rule.TOO_SOON),
        (hit(PIXEL, 60, GMAIL_AHEAD), Rule.PRIVACY_PROXY),
        (hit(PIXEL, 60, "Mozilla/5.0"), Rule.PRIVACY_PROXY),
        (hit(1, 60, "Mozilla/5.0"), Rule.PERSON),
        (hit(1, 1), Rule.TOO_SOON),
        (hit(1, -1), Rule.TOO_SOON),
        (hit(1, 60, ""), Rule.AGENT),
        (hit(1, 60, "facebookexternalhit/1.1 Facebot Twitterbot/1.0"), Rule.AGENT),
        (hit(1, 60, "Mozilla/5.0 (compatible; Barracuda Link Protect)"), Rule.AGENT),
        (hit(1, 60, "python-requests/2.32"), Rule.AGENT),
        (hit(1, 60, "curl/8.5.0"), Rule.AGENT),
        (hit(1, 60, head=True), Rule.HEAD),
        (hit(1, 60, prefetch=True), Rule.PREFETCH),
    ],
)
def test_one_request(one: Hit, rule: Rule) -> None:
    assert judged(one) == [rule]
    assert rule.person is (rule in {Rule.PERSON, Rule.IMAGE_PROXY})


def test_all_links_at_once() -> None:
    assert judged(hit(1, 60), hit(2, 60.5), hit(3, 61)) == [Rule.ALL_AT_ONCE] * 3
    assert judged(hit(1, 60), hit(2, 60.5), links=2) == [Rule.ALL_AT_ONCE] * 2
    assert judged(hit(1, 60), hit(2, 60.5)) == [Rule.PERSON] * 2
    assert judged(hit(1, 60), hit(2, 65), hit(3, 70)) == [Rule.PERSON] * 3
    assert judged(hit(1, 60), hit(1, 60.5), hit(1, 61)) == [Rule.PERSON] * 3
    assert judged(hit(1, 60), links=1) == [Rule.PERSON]


def test_head_before_get() -> None:
    assert judged(hit(1, 60, head=True), hit(1, 61)) == [Rule.HEAD, Rule.PROBED]
    assert judged(hit(1, 60, head=True), hit(2, 61)) == [Rule.HEAD, Rule.PERSON]
    assert judged(hit(1, 60, head=True), hit(1, 90)) == [Rule.HEAD, Rule.PERSON]


def test_a_call_whose_end_is_not_known_yet() -> None:
    assert judged(hit(1, 1), sent_at=None) == [Rule.PERSON]


HITS = st.builds(
    hit,
    st.integers(0, 4),
    st.floats(-5, 100),
    st.sampled_from([FIREFOX, GMAIL, "", "Mozilla/5.0", "curl/8"]),
    head=st.booleans(),
    prefetch=st.booleans(),
)


@given(st.lists(HITS, max_size=8))
def test_heads_and_prefetches_are_no_persons_whatever_else_came(hits: list[Hit]) -> None:
    rules = judged(*hits)
    assert len(rules) == len(hits)
    for one, rule in zip(hits, rules, strict=True):
        if one.head or one.prefetch or not one.agent:
            assert not rule.person


@given(st.lists(HITS, max_size=8), HITS)
def test_company_makes_nobody_a_person(hits: list[Hit], one: Hit) -> None:
    (alone,) = judged(one)
    if not alone.person:
        assert not judged(*hits, one)[-1].person


def test_a_template_goes_before_the_settings() -> None:
    default = Tracking(opens=True, clicks=False)
    assert TrackingChoice().over(default) == default
    assert TrackingChoice(opens=False, clicks=True).over(default) == Tracking(
        opens=False, clicks=True
    )
