"""What the routes work with, wired by the composition root."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from tidings.api.authentication import Authentication
from tidings.domain.limits import Limit
from tidings.domain.provider import Account
from tidings.inbox.hub import Hub
from tidings.intake.accept import Intake
from tidings.intake.replaying import Replayer
from tidings.metrics import Metrics
from tidings.settings import ApiSettings, InboxSettings
from tidings.store.database import Pool
from tidings.store.keyring import KeyRing
from tidings.store.templates import TemplateCache


@dataclass(frozen=True, slots=True)
class Parts:
    """providers: the provider of each account, by account name. exposition: the text of /metrics.
    ready: raises, or returns what is not ready yet (empty when all is). wake: tells the workers that there is work. sweep: a batch is to be swept. schedules_changed: one may come due
    sooner than was known. attribute: a conversion was told, which waits for conversions_wait. limits: the rate limits there are. accounts: in the order of the settings;
    breakers: names of those that have one. max_callback: bytes. hub: of all who watch a feed here.
    tell: after a commit, that these users' feeds changed."""

    settings: ApiSettings
    pool: Pool
    keyring: KeyRing
    intake: Intake
    replayer: Replayer
    templates: TemplateCache
    authentication: Authentication
    metrics: Metrics
    providers: Mapping[str, str]
    exposition: Callable[[], Awaitable[bytes]]
    ready: Callable[[], Awaitable[str]]
    wake: Callable[[], None]
    sweep: Callable[[], None]
    schedules_changed: Callable[[], None]
    attribute: Callable[[], None]
    conversions_wait: timedelta
    hub: Hub
    tell: Callable[[Sequence[str]], None]
    inbox: InboxSettings
    max_callback: int = 4 * 2**20
    limits: Sequence[Limit] = ()
    accounts: Sequence[Account] = ()
    breakers: Collection[str] = ()


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Wired = Annotated[Parts, Depends(_parts)]
