"""Changing users: what is not named stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tidings.store import users
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing
from tidings.store.users import Profile, User


@dataclass(frozen=True, slots=True)
class Change:
    """fields: of the profile, by name, but for the attributes; None takes one away. attributes: by name, where
    None takes one away; None altogether takes them all."""

    user_id: str
    fields: Mapping[str, Any] = field(repr=False)
    attributes: Mapping[str, Any] | None = field(default_factory=dict, repr=False)

    def of(self, profile: Profile) -> Profile:
        changed = replace(profile, **self.fields)
        if self.attributes is None:
            return replace(changed, attributes={})
        if not self.attributes:
            return changed
        merged = {**profile.attributes, **self.attributes}
        kept = {name: value for name, value in merged.items() if value is not None}
        return replace(changed, attributes=kept)


NOBODY = Profile()


async def change(
    connection: Connection, user_id: str, changed: Change, keyring: KeyRing
) -> User | None:
    """Within a transaction. None where there is no such user. Raises KeyRingError."""
    found = (await users.fetch(connection, [user_id], keyring, lock=True)).get(user_id)
    if found is None:
        return None
    await users.save(connection, {user_id: changed.of(found.profile)}, keyring)
    return await users.find(connection, user_id, keyring)


async def merge(
    connection: Connection, changes: Sequence[Change], keyring: KeyRing
) -> tuple[int, int]:
    """Within a transaction: change those that are there and create the others, in the order of the changes where
    several concern one user. How many were created, and how many changed. Raises KeyRingError."""
    wanted: dict[str, list[Change]] = {}
    for one in changes:
        wanted.setdefault(one.user_id, []).append(one)
    found = await users.fetch(connection, sorted(wanted), keyring, lock=True)
    fresh = {
        user_id: _after(NOBODY, mine) for user_id, mine in wanted.items() if user_id not in found
    }
    created = await users.create(connection, fresh, keyring) if fresh else set()
    if raced := fresh.keys() - created:
        found |= await users.fetch(connection, sorted(raced), keyring, lock=True)
    changed = {
        user_id: after
        for user_id, user in found.items()
        if (after := _after(user.profile, wanted[user_id])) != user.profile
    }
    if changed:
        await users.save(connection, changed, keyring)
    return len(created), len(changed)


async def differing(
    connection: Connection, changes: Sequence[Change], keyring: KeyRing
) -> list[Change]:
    """Those of the users that they would change, at this moment. Raises KeyRingError.

    All of a user's or none: without the last, which says what is stored, the one before it would be the last.
    """
    wanted: dict[str, list[Change]] = {}
    for one in changes:
        wanted.setdefault(one.user_id, []).append(one)
    found = await users.fetch(connection, sorted(wanted), keyring, lock=False)
    same = {
        user_id
        for user_id, user in found.items()
        if _after(user.profile, wanted[user_id]) == user.profile
    }
    return [one for one in changes if one.user_id not in same]


def _after(profile: Profile, changes: Sequence[Change]) -> Profile:
    for one in changes:
        profile = one.of(profile)
    return profile
