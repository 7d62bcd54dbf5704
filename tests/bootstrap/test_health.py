"""Which accounts have a breaker."""

from typing import Any

import pytest

from tidings.bootstrap.health import breakers_of, watched_of
from tidings.providers.accounts import build_accounts
from tidings.providers.catalogue import MANIFESTS
from tidings.settings import Settings

MAIL = {"provider": "smtp", "host": "localhost", "from": "a@example.com"}
HOOKS = {"provider": "webhook", "secret": "whsec_" + "c2VjcmV0" * 4}


def policies(breaker: dict[str, Any], **accounts: dict[str, Any]) -> tuple[list[str], Any]:
    settings = Settings.model_validate({"breaker": breaker, "accounts": accounts})
    built = build_accounts(settings, MANIFESTS)
    return watched_of(settings, built, MANIFESTS), breakers_of(settings, built, MANIFESTS)


def test_only_where_calls_share_a_fate() -> None:
    watched, breakers = policies({}, mail=MAIL, hooks=HOOKS)
    assert watched == ["mail"]
    assert breakers.keys() == {"mail"}


def test_a_breaker_that_is_asked_for() -> None:
    hooks = HOOKS | {"breaker": {"enabled": True, "probes": 7}}
    watched, breakers = policies({"window": 20}, hooks=hooks)
    assert watched == ["hooks"]
    assert (breakers["hooks"].probes, breakers["hooks"].window) == (7, 20)


@pytest.mark.parametrize(
    ("general", "own"), [({"enabled": False}, {}), ({}, {"breaker": {"enabled": False}})]
)
def test_without_a_breaker_it_is_watched_all_the_same(
    general: dict[str, Any], own: dict[str, Any]
) -> None:
    """For its pace, when the provider throttles."""
    watched, breakers = policies(general, mail=MAIL | own)
    assert watched == ["mail"]
    assert breakers == {}
