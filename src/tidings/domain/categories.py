"""Categories: what kind of notification it is, and what holds for all of a kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from tidings.domain.channels import Channel
from tidings.domain.limits import Limit, Over, Rate, Scope
from tidings.domain.send_times import SendWindow


class Cadence(StrEnum):
    """How often what is gathered in a digest is sent."""

    AT_ONCE = "at_once"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many to one address, in any stretch of its period. over: what is beyond it is skipped, or waits."""

    rate: Rate
    over: Over = "skip"


@dataclass(frozen=True, slots=True)
class Category:
    """channels: what holds for those who did not choose; on, where it is not named. mandatory: nobody can turn it
    off. quiet_hours: whether it waits for their end."""

    id: str
    name: str = ""
    channels: Mapping[Channel, bool] = field(default_factory=dict)
    mandatory: bool = False
    cap: Cap | None = None
    window: SendWindow | None = None
    quiet_hours: bool = True
    digest: Cadence = Cadence.AT_ONCE

    @property
    def limit(self) -> Limit | None:
        """The cap as a rate limit. Its name is one that no configured limit has."""
        if self.cap is None:
            return None
        return Limit(
            f"{CAP}{self.id}",
            self.cap.rate,
            Scope.RECIPIENT,
            over=self.cap.over,
            category=self.id,
        )


CAP = "cap of "
"""What the names of caps begin with, among the names of limits."""

Categories = Mapping[str, Category]
"""Those that were declared, by id."""


def category_of(declared: Categories, category_id: str) -> Category:
    """One that was not declared is on, everywhere and at all times."""
    return declared.get(category_id) or _undeclared(category_id)


# Asked several times for each notification, of few categories.
_undeclared = lru_cache(maxsize=1_024)(Category)
