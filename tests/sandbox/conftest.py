"""A sandbox that calls nobody back, and one who listens where a test wants it to."""

from collections.abc import Iterator

import pytest

from tests.support.sandbox import Box, sandbox


@pytest.fixture
def box() -> Iterator[Box]:
    with sandbox() as running:
        yield running


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client asks a proxy for this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
