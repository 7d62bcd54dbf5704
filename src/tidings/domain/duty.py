"""What the workers of one machine have divided among them."""

from enum import StrEnum


class Duty(StrEnum):
    """alone: everything. urgent: what is urgent goes first, and what else there is when there is time. backlog: a second
    process, which costs nothing while one is enough: it is not woken for each notification, but looks now and then, and
    goes on for as long as it finds more than it can carry."""

    ALONE = "alone"
    URGENT = "urgent"
    BACKLOG = "backlog"
