"""What a person wants: per category and channel, with a general choice per channel behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidings.domain.channels import Channel


@dataclass(frozen=True, slots=True)
class Preferences:
    """channels: the general choice; categories: the choice for one kind of notification.

    What is not named is wanted. A channel turned off in general stays off in every category.
    """

    channels: Mapping[Channel, bool] = field(default_factory=dict)
    categories: Mapping[str, Mapping[Channel, bool]] = field(default_factory=dict)

    def want(self, category: str, channel: Channel) -> bool:
        if not self.channels.get(channel, True):
            return False
        return self.categories.get(category, {}).get(channel, True)


NO_PREFERENCES = Preferences()
