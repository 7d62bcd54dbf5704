"""Which of several accounts takes a message: by conditions, order and weight, and past those that fail."""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

from tidings.domain.channels import Channel
from tidings.domain.chat import service_of
from tidings.domain.provider import Account, Feature
from tidings.domain.push import push_service_of
from tidings.domain.reasons import Reason
from tidings.domain.records import record


class Choice(StrEnum):
    """Why this account; stored with each attempt."""

    text: str

    def __new__(cls, code: str, text: str) -> "Choice":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    ONLY = "only", "It is the only account for this message."
    FIRST = "first", "It comes first in order."
    WEIGHTED = "weighted", "Drawn by weight among accounts of the same order."
    AFTER_FAILURE = "after_failure", "An account before it failed in a way that this one may not."
    AFTER_BLOCKED = (
        "after_blocked",
        "An account before it is held back because it fails or throttles.",
    )
    AFTER_LIMITED = "after_limited", "An account before it has used up its rate for the moment."
    AFTER_BUSY = "after_busy", "An account before it has as many calls under way as it bears."
    PINNED = "pinned", "It may have sent the message already, so no other account may."


CURABLE = frozenset(
    {
        Reason.CONNECTION_FAILED,
        Reason.TLS_FAILED,
        Reason.ACCOUNT_REFUSED,
        Reason.CREDENTIALS_REFUSED,
        Reason.PROVIDER_THROTTLED,
        Reason.PROVIDER_UNAVAILABLE,
    }
)
"""Failures of an account, which another one may not have. Surely not taken, all of them."""


@record
class Facts:
    """What conditions speak of. country: of the recipient's phone, ISO 3166; sender_domain: of the address
    that the message is from, where its template names one; else it is from the account's own. service: to which a chat
    or push address belongs. needs: what the account must pass on."""

    category: str
    country: str | None = None
    sender_domain: str | None = None
    service: str | None = None
    needs: tuple[Feature, ...] = ()


@record
class Routed:
    """account: None when all that fit are held back, or none fits."""

    account: Account | None
    choice: Choice | None = None
    fits: bool = True


def service_at(channel: Channel, address: str) -> str | None:
    """The service to which an address belongs; None where the channel has but one kind of them."""
    if channel is Channel.PUSH:
        return push_service_of(address)
    return service_of(address) if channel is Channel.CHAT else None


def needed(channel: Channel, payload: Mapping[str, Any]) -> tuple[Feature, ...]:
    """What an account must pass on of a notification with this payload."""
    if channel is not Channel.EMAIL or not (options := payload.get("email")):
        return ()
    needs = list[Feature]()
    if "cc" in options or "bcc" in options:
        needs.append("cc and bcc")
    shown = {one["content_id"] is not None for one in options.get("attachments", ())}
    if False in shown:
        needs.append("attachments")
    if True in shown:
        needs.append("inline files")
    return tuple(needs)


def fits(account: Account, facts: Facts) -> bool:
    return (
        (not account.categories or facts.category in account.categories)
        and (not account.services or facts.service in account.services)
        and (not account.countries or facts.country in account.countries)
        and (
            not account.sender_domains
            or (facts.sender_domain or account.sender_domain) in account.sender_domains
        )
        and (not facts.needs or set(facts.needs) <= set(account.features))
    )


def route(
    accounts: Sequence[Account],
    facts: Facts,
    *,
    pinned: str | None,
    avoid: Collection[str],
    blocked: Callable[[str], bool],
    limited: Callable[[str], bool],
    busy: Callable[[str], bool],
    uniform: float,
) -> Routed:
    """accounts: that serve the channel. pinned: the one that may have sent it. avoid: those that failed since the
    last wait. blocked: whether an account is held back now. limited, busy: whether it has used up its rate, or has more
    than enough to do, so that another one is better, if there is one. uniform: a random number from 0 to 1."""
    if pinned is not None:
        return _pinned(accounts, pinned, blocked)
    suited = [one for one in accounts if fits(one, facts)]
    if len(suited) == 1:  # as mostly, and then it is the one that was tried, is limited or is busy
        [only] = suited
        return Routed(None if blocked(only.name) else only, Choice.ONLY)
    untried = [one for one in suited if one.name not in avoid] or suited
    able = [one for one in untried if not blocked(one.name)]
    if not able:
        return Routed(None, fits=bool(suited))
    below = [one for one in able if not limited(one.name)] or able
    idle = [one for one in below if not busy(one.name)] or below
    order = min(one.order for one in idle)
    tier = [one for one in idle if one.order == order]
    return Routed(_drawn(tier, uniform), _why(suited, untried, able, below, tier))


def _pinned(accounts: Sequence[Account], pinned: str, blocked: Callable[[str], bool]) -> Routed:
    """That one or none, also when it is gone from the settings or its conditions have changed: only it can
    know what became of the call before."""
    held = next((one for one in accounts if one.name == pinned), None)
    if held is None:
        return Routed(None, fits=False)
    return Routed(None if blocked(pinned) else held, Choice.PINNED)


def _why(
    suited: Sequence[Account],
    untried: Sequence[Account],
    able: Sequence[Account],
    below: Sequence[Account],
    tier: Sequence[Account],
) -> Choice:
    order = tier[0].order
    if len(untried) < len(suited):
        return Choice.AFTER_FAILURE
    if any(one.order <= order and one not in able for one in untried):
        return Choice.AFTER_BLOCKED
    if any(one.order <= order and one not in below for one in able):
        return Choice.AFTER_LIMITED
    if any(one.order <= order and one not in tier for one in below):
        return Choice.AFTER_BUSY
    return Choice.WEIGHTED if len(tier) > 1 else Choice.FIRST


def _drawn(tier: Sequence[Account], uniform: float) -> Account:
    point = uniform * sum(one.weight for one in tier)
    for one in tier:
        point -= one.weight
        if point < 0:
            return one
    return tier[-1]
