"""The ways by which a person can be reached."""

from enum import StrEnum


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"
    WEBHOOK = "webhook"
    CHAT = "chat"


PERSONAL = frozenset({Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.IN_APP})
"""Behind the others stands a program, or a room full of people."""
