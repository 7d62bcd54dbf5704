"""What a person wants: in general, per category and per template, when, and how often."""

from collections.abc import Mapping
from dataclasses import field
from datetime import time
from enum import StrEnum

from tidings.domain.categories import Cadence, Category
from tidings.domain.channels import Channel
from tidings.domain.quiet_hours import QuietHours
from tidings.domain.records import record

Choices = Mapping[Channel, bool]


class Rule(StrEnum):
    """What decided whether a person wants it; the first of these that says anything."""

    text: str

    def __new__(cls, code: str, text: str) -> "Rule":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    MANDATORY = "mandatory", "The category is mandatory; nobody can turn it off."
    CHANNEL_OFF = "channel_off", "The recipient turned the channel off altogether."
    TEMPLATE_CHOICE = "template_choice", "The recipient chose for this template."
    CATEGORY_CHOICE = "category_choice", "The recipient chose for this category."
    CATEGORY_DEFAULT = (
        "category_default",
        "The recipient did not choose; the category's default holds.",
    )


@record
class DigestTime:
    """When daily and weekly digests come, by the recipient's clock. weekday: Monday is 0."""

    at: time = time(9)
    weekday: int = 0


@record
class Preferences:
    """channels: the general choice; categories and templates: the choice for one of them.

    A channel turned off in general stays off in every category. digests: how often, by category. tracking:
    False where opens and clicks are not to be tracked.
    """

    channels: Choices = field(default_factory=dict)
    categories: Mapping[str, Choices] = field(default_factory=dict)
    templates: Mapping[str, Choices] = field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    digests: Mapping[str, Cadence] = field(default_factory=dict)
    digest_time: DigestTime = DigestTime()
    tracking: bool | None = None

    def cadence(self, category: Category) -> Cadence:
        return self.digests.get(category.id, category.digest)


NO_PREFERENCES = Preferences()


@record
class Choice:
    wanted: bool
    rule: Rule


def choose(
    preferences: Preferences, category: Category, template_id: str, channel: Channel
) -> Choice:
    """Whether it is wanted over this channel, and by which rule."""
    if category.mandatory:
        return Choice(True, Rule.MANDATORY)
    if not preferences.channels.get(channel, True):
        return Choice(False, Rule.CHANNEL_OFF)
    of_template = preferences.templates.get(template_id, {}).get(channel)
    if of_template is not None:
        return Choice(of_template, Rule.TEMPLATE_CHOICE)
    of_category = preferences.categories.get(category.id, {}).get(channel)
    if of_category is not None:
        return Choice(of_category, Rule.CATEGORY_CHOICE)
    return Choice(category.channels.get(channel, True), Rule.CATEGORY_DEFAULT)
