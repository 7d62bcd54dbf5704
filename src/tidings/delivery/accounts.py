"""The accounts in use, and which of them takes a message."""

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidings.delivery.health import Health
from tidings.delivery.overflowing import Overflow
from tidings.delivery.places import Places
from tidings.domain.channels import Channel
from tidings.domain.fairness import Room
from tidings.domain.provider import Account, Manifest, Provider
from tidings.domain.records import record
from tidings.domain.routing import Choice, Facts, fits, route

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
        patience: float | None = None,
    ) -> "OpenAccount":
        """concurrency: deliveries in flight in one worker at the most. patience: see Places."""
        capacity = max(1, concurrency * _SHARE[0] // _SHARE[1])
        if (field := manifest.concurrency_field) is not None:
            capacity = int(account.number(field))
        return cls(account, manifest, provider, Places(capacity, clock, patience))


@record
class Chosen:
    """opened: None when no account can take it now; fits: whether any could, at another time; busy: whether it
    only has too much to do; suited: which could; rate: calls per second that these ended of late."""

    opened: OpenAccount | None
    choice: Choice | None
    fits: bool
    busy: bool = False
    suited: tuple[str, ...] = ()
    rate: float = 0.0


class Closable(Protocol):
    async def close(self) -> None: ...


class Accounts:
    def __init__(
        self,
        opened: Sequence[OpenAccount],
        clients: Sequence[Closable] = (),
        health: Health | None = None,
        watched: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
        event_places: int = 1,
    ) -> None:
        """clients: what the providers share, closed after them. watched: accounts whose health is. event_places:
        how many events to subscriptions a worker may hold."""
        self._event_places = event_places
        self.opened = opened
        self.overflow = Overflow(clock)
        self._clients = list(clients)
        self._health = health
        self._watched = frozenset(watched)
        self._by_name = {one.account.name: one for one in opened}
        self._by_channel: dict[Channel, list[Account]] = {}
        for one in opened:
            for channel in one.account.channels:
                self._by_channel.setdefault(channel, []).append(one.account)
        self._subscribed: dict[str, OpenAccount] = {}

    def keep(self, client: Closable) -> None:
        """It is closed with the others."""
        self._clients.append(client)

    def subscribed(self, opened: Sequence[OpenAccount]) -> None:
        """These are subscriptions to events from now on: accounts of no channel, each for what is pinned to it."""
        for name in self._subscribed:
            del self._by_name[name]
        self._subscribed = {one.account.name: one for one in opened}
        self._by_name |= self._subscribed

    def choose(
        self,
        channel: Channel,
        facts: Facts,
        *,
        pinned: str | None,
        avoid: Collection[str],
        urgent: bool,
    ) -> Chosen:
        accounts = self._serving(channel, pinned)
        routed = route(
            accounts,
            facts,
            pinned=pinned,
            avoid=avoid,
            blocked=self._blocked,
            limited=self.overflow.is_limited,
            busy=lambda name: self._by_name[name].places.is_full(urgent=urgent),
            uniform=random.random(),  # noqa: S311 - spreads load, keeps no secret
        )
        opened = self._by_name[routed.account.name] if routed.account else None
        if opened is not None and not opened.places.is_full(urgent=urgent):
            return Chosen(opened, routed.choice, routed.fits)
        suited = self._suited(channel, facts, pinned)
        # What was claimed for a channel has room in its accounts. Only where not all of them fit can it be far more
        # than these have room for, and must not fill the worker.
        all_fit = len(suited) == len(accounts) and pinned not in self._subscribed
        if opened is not None and all_fit and not opened.places.is_overfull():
            return Chosen(opened, routed.choice, routed.fits)
        rate = sum(self._by_name[name].places.rate for name in suited)
        return Chosen(None, None, routed.fits, opened is not None, suited, rate)

    def is_other(
        self,
        channel: Channel,
        facts: Facts,
        *,
        pinned: str | None,
        avoid: Collection[str],
        than: str,
    ) -> bool:
        """Whether another account could send it now."""
        return pinned is None and any(
            one.name != than
            and one.name not in avoid
            and fits(one, facts)
            and not self._blocked(one.name)
            and not self.overflow.is_limited(one.name)
            for one in self._by_channel.get(channel, ())
        )

    def _serving(self, channel: Channel, pinned: str | None) -> Sequence[Account]:
        if pinned is not None and (subscribed := self._subscribed.get(pinned)) is not None:
            return (subscribed.account,)
        return self._by_channel.get(channel, ())

    def _suited(self, channel: Channel, facts: Facts, pinned: str | None) -> tuple[str, ...]:
        accounts = self._serving(channel, pinned)
        if pinned is not None:
            return tuple(one.name for one in accounts if one.name == pinned)
        return tuple(one.name for one in accounts if fits(one, facts))

    def watch(self, name: str) -> Health | None:
        """Who is to be asked before a call to this account, and told of it."""
        return self._health if name in self._watched else None

    def named(self, name: str | None) -> OpenAccount | None:
        return self._by_name.get(name or "")

    def rooms(self, channels: Collection[Channel | None]) -> dict[Channel | None, Room]:
        """What the accounts of these channels, for which something waits, can take now. A channel without accounts
        is not named: what waits for it is claimed, to be told so. None: of events, which have a few places of a
        worker, however many subscriptions there are."""
        rooms: dict[Channel | None, Room] = {}
        for channel in channels:
            if channel is None:
                held = sum(one.places.held for one in self._subscribed.values())
                rooms[None] = Room(max(0, self._event_places - held), 0)
            elif accounts := self._by_channel.get(channel):
                free = [self._room(one.name) for one in accounts]
                rooms[channel] = Room(
                    sum(room.ordinary for room in free), sum(room.critical for room in free)
                )
        return rooms

    async def close(self) -> None:
        for one in self.opened:
            await one.provider.close()
        for client in self._clients:
            await client.close()

    def _room(self, name: str) -> Room:
        room = self._by_name[name].places.room()
        if (health := self.watch(name)) is None:
            return room
        calls = health.room(name)
        return Room(int(min(room.ordinary, calls)), int(min(room.critical, calls)))

    def _blocked(self, name: str) -> bool:
        health = self.watch(name)
        return health is not None and not health.may_call(name)
