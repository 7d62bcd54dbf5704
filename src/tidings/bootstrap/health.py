"""Which accounts have a breaker, and which are watched at all."""

from collections.abc import Mapping, Sequence

from tidings.domain.breaker import BreakerPolicy
from tidings.domain.provider import Account, Manifest
from tidings.settings import Settings


def watched_of(
    settings: Settings, accounts: Sequence[Account], manifests: Mapping[str, Manifest]
) -> list[str]:
    """Accounts whose calls share a fate, or that were given a breaker of their own. Where each recipient names a
    server of its own, a few dead ones must not block all the others."""
    return [
        one.name
        for one in accounts
        if manifests[one.provider].shared_fate or _is_asked_for(settings, one.name)
    ]


def breakers_of(
    settings: Settings, accounts: Sequence[Account], manifests: Mapping[str, Manifest]
) -> dict[str, BreakerPolicy]:
    """By account, where there is to be a breaker. One that is watched without is slowed down all the same when its
    provider throttles."""
    policies = {}
    for name in watched_of(settings, accounts, manifests):
        declared = settings.accounts.get(name)
        changes = declared.breaker.given if declared else {}
        values = {**settings.breaker.model_dump(), **changes}
        if values.pop("enabled"):
            policies[name] = BreakerPolicy(**values)
    return policies


def _is_asked_for(settings: Settings, name: str) -> bool:
    declared = settings.accounts.get(name)
    return declared is not None and declared.breaker.enabled is True
