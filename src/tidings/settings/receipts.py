"""Settings of what follows from receipts."""

from typing import Annotated

from pydantic import Field

from tidings.settings.section import Seconds, Section


class ReceiptSettings(Section):
    soft_bounces: Annotated[int, Field(ge=1, le=1_000)] = 5
    """Soft bounces in a row after which an address is put on the suppression list."""
    soft_bounces_within: Seconds = 2_592_000
    """Seconds: after a longer time between two, the later one is the first again."""
    soft_bounce_rest: Seconds = 604_800
    """Seconds for which such an address is left alone."""
    max_body: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 4 * 2**20
    """Bytes that a callback may have."""
