"""Addresses that must not be sent to: why, and for what."""

from collections.abc import Iterable
from enum import StrEnum

from tidings.domain.records import record


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    MANUAL = "manual"
    FAILING = "failing"
    """An endpoint that did nothing but fail for long."""


@record
class Block:
    """What a suppression keeps away: everything, or the notifications of one category."""

    reason: SuppressionReason
    category: str = ""

    def holds(self, category: str, *, mandatory: bool = False) -> bool:
        """Whether it keeps away this category. What is mandatory goes to those, too, who unsubscribed."""
        if mandatory and self.reason is SuppressionReason.UNSUBSCRIBED:
            return False
        return not self.category or self.category == category


def blocked(blocks: Iterable[Block], category: str, *, mandatory: bool = False) -> bool:
    for block in blocks:  # noqa: SIM110 - asked for each notification; any() over a generator takes twice as long
        if block.holds(category, mandatory=mandatory):
            return True
    return False
