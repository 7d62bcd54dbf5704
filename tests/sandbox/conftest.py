"""A sandbox that calls nobody back, and one who listens where a test wants it to."""

from collections.abc import Iterator

import pytest

from tests.support.sandbox import Box, sandbox


@pytest.fixture
def box() -> Iterator[Box]:
    with sandbox() as running:
        yield running
