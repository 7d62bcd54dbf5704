"""Lanes: what waits in the queue is shared fairly between them, and each can be held up alone.

A lane is one application (API key) and one channel, within a priority. It is one number, so that the queue's
index stays as small as it can be.
"""

from typing import NamedTuple

from tidings.domain.channels import Channel
from tidings.domain.priorities import Priority

_CHANNELS = tuple(Channel)
_NUMBERS = {channel: number for number, channel in enumerate(_CHANNELS)}
_WIDTH = 8  # channels there can be


def lane_number(app: int, channel: Channel) -> int:
    """app: the number of the API key."""
    return app * _WIDTH + _NUMBERS[channel]


class Lane(NamedTuple):
    priority: Priority
    number: int

    @property
    def app(self) -> int:
        return self.number // _WIDTH

    @property
    def channel(self) -> Channel | None:
        """None: what goes over none, or one that only a later version knows."""
        number = self.number % _WIDTH
        return _CHANNELS[number] if number < len(_CHANNELS) else None


EVENTS = Lane(Priority.LOW, _WIDTH - 1)
"""Of events to subscriptions: of no application's notifications and of no channel, behind all that people wait for."""
