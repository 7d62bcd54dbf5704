"""What a person can choose by a link from a message, and what becomes of their choice.

Of a user the choices are preferences. Of an address that belongs to no user known here they are suppressions:
something must remember that it wants no more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tidings.domain.categories import Category, category_of
from tidings.domain.channels import Channel
from tidings.domain.preferences import NO_PREFERENCES, Preferences
from tidings.domain.suppressions import SuppressionReason
from tidings.people.times import Times, TimesChange, times_of
from tidings.store import categories, offers, preferences, suppressions, users
from tidings.store.database import Connection, Reader
from tidings.store.keyring import KeyRing
from tidings.store.links import Link
from tidings.store.preferences import Author, Source
from tidings.store.suppressions import NewSuppression

EVERYTHING = ""
"""In the place of a category: all notifications over a channel."""

Choice = tuple[Channel, str]
"""A channel, and a category or EVERYTHING."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that can be chosen, and how it is now. fixed: the mandatory categories, of which nothing can be. times:
    None of an address that belongs to no user."""

    categories: Sequence[Category]
    choices: Mapping[Choice, bool]
    fixed: Sequence[Category]
    times: Times | None = None

    def channels(self, category_id: str) -> list[Channel]:
        return [channel for channel in Channel if (channel, category_id) in self.choices]


async def sheet(
    connection: Reader, link: Link, keyring: KeyRing, channels: Collection[Channel]
) -> Sheet:
    """channels: those over which anything can be sent to a person."""
    reached = set(channels) if link.user_id is not None else {link.channel}
    offered = {
        category_id: found & reached
        for category_id, found in (await offers.offered(connection)).items()
    }
    offered.setdefault(link.category, set()).add(link.channel)
    declared = {one.id: one for one in await categories.listed(connection)}
    shown = [category_of(declared, one) for one, found in sorted(offered.items()) if found]
    free = [one for one in shown if not one.mandatory]
    used = {channel for one in free for channel in offered[one.id]}
    wanted = await _wanted(connection, link, keyring)
    choices = {(channel, EVERYTHING): wanted.everything(channel) for channel in used}
    for one in free:
        choices |= {(channel, one.id): wanted.of(one, channel) for channel in offered[one.id]}
    return Sheet(
        free,
        choices,
        [one for one in shown if one.mandatory],
        await _times(connection, link, wanted.preferences, free),
    )


async def _times(
    connection: Reader, link: Link, chosen: Preferences, free: Sequence[Category]
) -> Times | None:
    if link.user_id is None:
        return None
    gathered = await offers.gathered(connection)
    zone = await users.timezone_of(connection, link.user_id)
    return times_of(chosen, [one for one in free if one.id in gathered], zone)


async def category_named(connection: Reader, category_id: str) -> Category:
    return await categories.find(connection, category_id) or Category(category_id)


async def choose(
    connection: Connection,
    link: Link,
    keyring: KeyRing,
    chosen: Mapping[Choice, bool],
    source: Source,
    times: TimesChange | None = None,
) -> None:
    """Within a transaction. chosen: what differs from how it is. times: of a user."""
    if not chosen and times is None:
        return
    if link.user_id is None:
        await _choose_for_address(connection, link, keyring, chosen)
        return
    if times is not None and times.after.zone != times.before.zone:
        await users.set_timezone(connection, link.user_id, times.after.zone, keyring)
    overridden = await offers.templates_of(connection, {category for _, category in chosen})
    await preferences.change(
        connection,
        link.user_id,
        lambda before: _edited(times.edited(before) if times else before, chosen, overridden),
        Author(source),
    )


async def unsubscribe(connection: Connection, link: Link, keyring: KeyRing) -> None:
    """Within a transaction: no more of this category over this channel."""
    chosen = {(link.channel, link.category): False}
    await choose(connection, link, keyring, chosen, "unsubscribe")


async def subscribe_again(connection: Connection, link: Link, keyring: KeyRing) -> None:
    """Within a transaction: take back what `unsubscribe` did."""
    await choose(connection, link, keyring, {(link.channel, link.category): True}, "page")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """off: choices that an address has made; the preferences are those of a user."""

    preferences: Preferences
    off: Collection[Choice] = ()

    def everything(self, channel: Channel) -> bool:
        return (
            self.preferences.channels.get(channel, True) and (channel, EVERYTHING) not in self.off
        )

    def of(self, category: Category, channel: Channel) -> bool:
        chosen = self.preferences.categories.get(category.id, {}).get(channel)
        wanted = category.channels.get(channel, True) if chosen is None else chosen
        return wanted and (channel, category.id) not in self.off


async def _wanted(connection: Reader, link: Link, keyring: KeyRing) -> _Wanted:
    if link.user_id is not None:
        return _Wanted(await preferences.fetch(connection, link.user_id))
    found = await suppressions.of_addresses(connection, [(link.channel, link.address)], keyring)
    return _Wanted(
        NO_PREFERENCES,
        {
            (one.channel, one.category)
            for one in found
            if one.reason is SuppressionReason.UNSUBSCRIBED
        },
    )


def _edited(
    before: Preferences, chosen: Mapping[Choice, bool], templates: Mapping[str, str]
) -> Preferences:
    """templates: the category of those whose own choices give way to what is chosen for their category."""
    channels = dict(before.channels)
    by_category = {name: dict(choices) for name, choices in before.categories.items()}
    by_template = {name: dict(choices) for name, choices in before.templates.items()}
    for (channel, category), wanted in chosen.items():
        if category == EVERYTHING:
            channels[channel] = wanted
            continue
        by_category.setdefault(category, {})[channel] = wanted
        for name, choices in by_template.items():
            if templates.get(name) == category and channel in choices:
                choices[channel] = wanted
    return replace(before, channels=channels, categories=by_category, templates=by_template)


async def _choose_for_address(
    connection: Connection, link: Link, keyring: KeyRing, chosen: Mapping[Choice, bool]
) -> None:
    off = [
        NewSuppression(channel, link.address, SuppressionReason.UNSUBSCRIBED, category)
        for (channel, category), wanted in chosen.items()
        if not wanted
    ]
    if off:
        await suppressions.add(connection, off, keyring, replace=False)
    for (channel, category), wanted in chosen.items():
        if wanted:
            digest = keyring.address_hash(channel, link.address)
            await suppressions.lift(
                connection, channel, [digest], SuppressionReason.UNSUBSCRIBED, category=category
            )
