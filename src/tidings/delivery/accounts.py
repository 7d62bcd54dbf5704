"""The accounts in use, and which of them takes a message."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidings.delivery.places import Places
from tidings.domain.channels import Channel
from tidings.domain.fairness import Room
from tidings.domain.provider import Account, Manifest, Provider
from tidings.domain.routing import Choice, Facts, route

_SHARE = 2, 3  # of a worker's places that an account without a limit of its own can fill


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """An account in use: what it is, the provider that serves it, and its places for calls."""

    account: Account
    manifest: Manifest
    provider: Provider
    places: Places

    @classmethod
    def of(
        cls,
        account: Account,
        manifest: Manifest,
        provider: Provider,
        *,
        concurrency: int,
        clock: Callable[[], float],
    ) -> "OpenAccount":
        """concurrency: deliveries in flight in one worker at the most."""
        capacity = max(1, concurrency * _SHARE[0] // _SHARE[1])
        if (field := manifest.concurrency_field) is not None:
            capacity = int(account.number(field))
        return cls(account, manifest, provider, Places(capacity, clock))


@dataclass(frozen=True, slots=True)
class Chosen:
    """opened: None when no account can take it now; fits: whether any could, at another time."""

    opened: OpenAccount | None
    choice: Choice | None
    fits: bool


class Closable(Protocol):
    async def close(self) -> None: ...


class Held(Protocol):
    """Which accounts are held back, because they fail or throttle."""

    def may_call(self, account: str) -> bool: ...


class NothingHeld:
    def may_call(self, account: str) -> bool:
        return True


class Accounts:
    def __init__(
        self,
        opened: Sequence[OpenAccount],
        clients: Sequence[Closable] = (),
        health: Held | None = None,
    ) -> None:
        """clients: what the providers share, closed after them."""
        self.opened = opened
        self._clients = clients
        self._health = health or NothingHeld()
        self._by_name = {one.account.name: one for one in opened}
        self._by_channel: dict[Channel, list[Account]] = {}
        for one in opened:
            for channel in one.account.channels:
                self._by_channel.setdefault(channel, []).append(one.account)

    def choose(
        self, channel: Channel, facts: Facts, *, pinned: str | None, avoid: Collection[str]
    ) -> Chosen:
        routed = route(
            self._by_channel.get(channel, ()),
            facts,
            pinned=pinned,
            avoid=avoid,
            blocked=self._blocked,
            uniform=random.random(),  # noqa: S311 - spreads load, keeps no secret
        )
        opened = self._by_name[routed.account.name] if routed.account else None
        return Chosen(opened, routed.choice, routed.fits)

    def named(self, name: str | None) -> OpenAccount | None:
        return self._by_name.get(name or "")

    def rooms(self) -> dict[Channel, Room]:
        """What the accounts of each channel can take now. A channel without accounts is not named: what waits
        for it is claimed, to be told so."""
        rooms: dict[Channel, Room] = {}
        for channel, accounts in self._by_channel.items():
            free = [
                self._by_name[one.name].places.room()
                for one in accounts
                if not self._blocked(one.name)
            ]
            rooms[channel] = Room(
                sum(room.ordinary for room in free), sum(room.critical for room in free)
            )
        return rooms

    async def close(self) -> None:
        for one in self.opened:
            await one.provider.close()
        for client in self._clients:
            await client.close()

    def _blocked(self, name: str) -> bool:
        return not self._health.may_call(name)
