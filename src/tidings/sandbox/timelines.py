"""When what happens to a message, by its fate."""

from collections.abc import Mapping, Sequence

from tidings.domain.channels import Channel
from tidings.sandbox.magic import Fate
from tidings.sandbox.messages import Happening

Timeline = Sequence[tuple[float, Happening]]

_DELIVERED = (0.3, Happening.DELIVERED)
_OPENED = (0.8, Happening.OPENED)

TIMELINES: Mapping[Fate, Timeline] = {
    Fate.SUPPRESSED: ((0.1, Happening.DROPPED),),
    Fate.BOUNCE: ((0.3, Happening.BOUNCED),),
    Fate.SOFT_BOUNCE: ((0.3, Happening.SOFT_BOUNCED),),
    Fate.DELAY: ((0.3, Happening.DEFERRED), (2.0, Happening.DELIVERED)),
    Fate.COMPLAIN: (_DELIVERED, (1.0, Happening.COMPLAINED)),
    Fate.UNSUBSCRIBE: (_DELIVERED, _OPENED, (1.0, Happening.UNSUBSCRIBED)),
    Fate.OPEN: (_DELIVERED, _OPENED),
    Fate.CLICK: (_DELIVERED, _OPENED, (1.2, Happening.CLICKED)),
    Fate.REPLY_STOP: (_DELIVERED, (0.8, Happening.REPLIED)),
    Fate.SILENT: (),
}
"""Seconds after it was taken, in order; all other fates: delivered."""

_ONLY_EMAIL = frozenset(
    {Happening.OPENED, Happening.CLICKED, Happening.COMPLAINED, Happening.UNSUBSCRIBED}
)
REPORTED: Mapping[Channel, frozenset[Happening]] = {
    Channel.EMAIL: frozenset(Happening) - {Happening.REPLIED},
    Channel.SMS: frozenset(Happening) - _ONLY_EMAIL,
}


def timeline(channel: Channel, fate: Fate) -> Timeline:
    """What is learnt of a message on a channel. Push, chat and webhooks are answered, and that is all."""
    known = REPORTED.get(channel, frozenset())
    return [one for one in TIMELINES.get(fate, (_DELIVERED,)) if one[1] in known]
