"""Opens and clicks of our own: what is tracked, and of each request whether a person made it."""

import re
from collections.abc import Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from tidings.domain.records import record

PIXEL = 0
"""The number of the pixel; links count from 1."""

MOST_LINKS = 255
"""Links of one message that are tracked; those behind them stay as they are."""

LONGEST_AGENT = 300


@record
class Tracking:
    """What of a message is tracked."""

    opens: bool
    clicks: bool

    @property
    def any(self) -> bool:
        return self.opens or self.clicks


UNTRACKED = Tracking(opens=False, clicks=False)


@record
class TrackingChoice:
    """Of a template; None leaves it to the settings."""

    opens: bool | None = None
    clicks: bool | None = None

    def over(self, default: Tracking) -> Tracking:
        return Tracking(
            opens=default.opens if self.opens is None else self.opens,
            clicks=default.clicks if self.clicks is None else self.clicks,
        )


NO_CHOICE = TrackingChoice()


@record
class Hit:
    """A request for a link or for the pixel. times: how often it came at that moment. head: it asked for the headers
    only. prefetch: it said itself that nobody is looking yet. agent: what it says it is."""

    link: int
    at: datetime
    times: int = 1
    head: bool = False
    prefetch: bool = False
    agent: str = field(default="", repr=False)


class Rule(StrEnum):
    """By what a request was judged; of several the first holds."""

    text: str
    person: bool

    def __new__(cls, code: str, text: str, by: str = "machine") -> "Rule":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        member.person = by == "person"
        return member

    HEAD = "head", "It asked for the headers only."
    PREFETCH = "prefetch", "It said that it fetches ahead."
    AGENT = "agent", "It names itself a robot, a scanner or a preview, or does not name itself."
    PRIVACY_PROXY = "privacy_proxy", "A proxy that fetches pictures whether anybody looks or not."
    PROBED = "probed", "The same link was asked for by HEAD just before, as scanners do."
    ALL_AT_ONCE = "all_at_once", "Several links were followed at the same moment."
    TOO_SOON = "too_soon", "It came sooner after the message than a person could."
    IMAGE_PROXY = (
        "image_proxy",
        "A mail program's proxy, which fetches pictures when they are looked at.",
        "person",
    )
    PERSON = "person", "Nothing speaks against a person.", "person"


_PROBE = timedelta(seconds=10)
_AT_ONCE = timedelta(seconds=2)
_SEVERAL = 3  # links; of a message with two, both

# Apple Mail Privacy Protection, which fetches every picture soon after the message comes, names itself so and no more.
_APPLE = "Mozilla/5.0"

# Gmail's first look at a message names a browser of 2015 that nobody has:
# https://www.emailonacid.com/blog/article/industry-news/gmail-prefetching-images/
_GMAIL_AHEAD = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246"

_IMAGE_PROXY = re.compile("GoogleImageProxy|YahooMailProxy|YahooCacheSystem", re.IGNORECASE)

_ROBOT = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|scan|preview|prefetch|monitor|validator|headless|phantom|"
    r"python|curl|wget|httpx|aiohttp|libwww|okhttp|go-http|java/|node|axios|ruby|perl|php|"
    r"facebookexternalhit|whatsapp|skypeuri|slack-img|embedly|linkexpander|google-safety|"
    r"barracuda|proofpoint|mimecast|messagelabs|symantec|fireeye|trendmicro|ironport|sophos|safelinks|cloudmark",
    re.IGNORECASE,
)


def judge(
    hits: Sequence[Hit], sent_at: datetime | None, *, links: int, soon: timedelta
) -> list[Rule]:
    """By which rule each of these is a person's or a machine's, in their order. hits: of one message, those of some
    seconds together. sent_at: None where the end of the call is not known yet. links: how many the message has.
    soon: after the message, in which no person can follow a link."""
    probes = [hit for hit in hits if hit.head]
    return [
        _of_itself(hit)
        or _by_company(hit, hits, probes, links)
        or _by_time(hit, sent_at, soon)
        or (Rule.IMAGE_PROXY if _IMAGE_PROXY.search(hit.agent) else Rule.PERSON)
        for hit in hits
    ]


def _of_itself(hit: Hit) -> Rule | None:
    if hit.head:
        return Rule.HEAD
    if hit.prefetch:
        return Rule.PREFETCH
    if hit.link == PIXEL and (hit.agent == _APPLE or _GMAIL_AHEAD in hit.agent):
        return Rule.PRIVACY_PROXY
    if not hit.agent or (_ROBOT.search(hit.agent) and not _IMAGE_PROXY.search(hit.agent)):
        return Rule.AGENT
    return None


def _by_company(hit: Hit, hits: Sequence[Hit], probes: Sequence[Hit], links: int) -> Rule | None:
    if hit.link == PIXEL:
        return None
    if any(one.link == hit.link and timedelta() <= hit.at - one.at <= _PROBE for one in probes):
        return Rule.PROBED
    beside = {one.link for one in hits if one.link != PIXEL and abs(one.at - hit.at) <= _AT_ONCE}
    enough = min(_SEVERAL, max(links, 2))
    return Rule.ALL_AT_ONCE if len(beside) >= enough else None


def _by_time(hit: Hit, sent_at: datetime | None, soon: timedelta) -> Rule | None:
    if sent_at is not None and hit.at - sent_at < soon:
        return Rule.TOO_SOON
    return None
