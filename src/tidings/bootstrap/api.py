"""The API process: its parts, and the server around them."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator

import structlog
import uuid_utils.compat as uuids
import uvicorn
from prometheus_client import CollectorRegistry

from tidings.api.app import create_server
from tidings.api.authentication import Authentication
from tidings.api.parts import Parts
from tidings.api.routes.callbacks import callback_routes
from tidings.api.routes.inbox_socket import LONGEST_MESSAGE, socket_routes
from tidings.bootstrap.exposition import exposition
from tidings.bootstrap.feeds import open_hub, open_teller
from tidings.bootstrap.foundation import (
    Checkpoint,
    Foundation,
    check_keyring,
    ensure_development_key,
    pass_by,
)
from tidings.bootstrap.health import breakers_of
from tidings.bootstrap.intake import notifying, now, open_intake, reach_of
from tidings.bootstrap.receipts import open_receipts
from tidings.domain.channels import PERSONAL
from tidings.inbox.hub import Hub
from tidings.inbox.telling import Teller
from tidings.intake.replaying import Replayer
from tidings.intake.scheduling import Scheduler
from tidings.intake.sweeping import Sweeper
from tidings.metrics import Metrics
from tidings.queue.wakeup import Waker
from tidings.store import attribute_fills, batch_sweeps
from tidings.store.api_keys import ApiKeyCache
from tidings.store.categories import CategoryCache
from tidings.store.database import Pool, open_pool
from tidings.store.feeds import CHANNEL as FEEDS
from tidings.store.listener import Listener
from tidings.store.templates import TemplateCache
from tidings.tracking.attributing import Attributor, wait_of
from tidings.web.pages import Pages
from tidings.web.visits import visit_routes

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_CHANGES = "tidings_changes"
_SILENCE = 60_000  # milliseconds in which what was sent must be acknowledged


async def run_api(
    foundation: Foundation,
    stop: asyncio.Event,
    *,
    listening: socket.socket | None = None,
    checkpoint: Checkpoint = pass_by,
) -> None:
    """Serve until `stop` is set, then finish the open requests in a bounded time."""
    settings = foundation.settings
    pool = await open_pool(foundation.dsn, size=settings.database_pool, name="api")
    hot = await open_pool(foundation.dsn, size=6, name="api intake", hot=True)
    try:
        async with pool.acquire() as connection:
            await check_keyring(connection, foundation.keyring)
            await ensure_development_key(connection, settings)
        keys, templates, categories = ApiKeyCache(pool), TemplateCache(pool), CategoryCache()
        waker = Waker(notifying(hot))
        sweeper = Sweeper(
            hot,
            lambda connection: batch_sweeps.step(connection, waker.wake),
            lambda connection: attribute_fills.step(connection, foundation.keyring),
        )
        schedules_changed = asyncio.Event()
        attributor = Attributor(hot, settings.tracking)
        hub, teller = open_hub(hot, foundation.keyring, settings.inbox), open_teller(hot)
        parts = _parts(
            foundation,
            pool,
            hot,
            keys,
            templates,
            categories,
            waker,
            sweeper,
            schedules_changed.set,
            attributor.wake,
            hub,
            teller,
            checkpoint,
        )
        receipts = open_receipts(
            foundation, hot, parts.metrics, wake=waker.wake, checkpoint=checkpoint
        )
        scheduler = Scheduler(pool, foundation.keyring, parts.intake, now, schedules_changed)
        listener = Listener(
            foundation.dsn,
            {_CHANGES: _forgetting(keys, templates, categories), FEEDS: hub.heard},
        )
        listening = listening or bind(
            settings.api.host, settings.api.port, shared=settings.api.processes > 1
        )
        served = create_server(
            parts,
            [
                *_pages(foundation, pool).routes(),
                *callback_routes(receipts.receiver, settings.web.public_url),
                *visit_routes(receipts.visits, settings.web.name),
                *socket_routes(),
            ],
        )
        server = _Server(
            uvicorn.Config(
                served.app,
                http=served.protocol,
                log_config=None,
                log_level="warning",  # below that, it writes URLs, and some of them hold tokens
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing depends on the client's address or scheme
                timeout_graceful_shutdown=int(settings.api.shutdown_grace),
                ws="websockets-sansio",
                ws_max_size=LONGEST_MESSAGE,
                ws_per_message_deflate=False,  # its memory, for each connection, is more than it saves
                lifespan="off",
            )
        )
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(listener.run()),
                tasks.create_task(waker.run()),
                tasks.create_task(sweeper.run()),
                tasks.create_task(scheduler.run()),
                tasks.create_task(receipts.reader.run()),
                tasks.create_task(receipts.judge.run()),
                tasks.create_task(attributor.run()),
                tasks.create_task(hub.run()),
                tasks.create_task(hub.poll()),
                tasks.create_task(teller.run()),
                tasks.create_task(_stop_when(stop, server, hub)),
            ]
            log.info("api.started", host=settings.api.host, port=listening.getsockname()[1])
            await server.serve(sockets=[listening])
            for task in beside:
                task.cancel()
        log.info("api.stopped")
        await receipts.http.close()
    finally:
        await pool.close()
        await hot.close()


class _Server(uvicorn.Server):
    """The supervisor and the command line stop it through `stop`; it must not take the signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket. shared: several API processes may listen on it; otherwise a second one is
    refused, rather than taking a part of the requests in silence. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, an answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Those that are accepted have it, too. Without it, a peer that died in the middle of a stream is noticed after
        # a quarter of an hour.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE)
    listening.bind((host, port))
    listening.set_inheritable(True)
    return listening


def _parts(
    foundation: Foundation,
    pool: Pool,
    hot: Pool,
    keys: ApiKeyCache,
    templates: TemplateCache,
    categories: CategoryCache,
    waker: Waker,
    sweeper: Sweeper,
    schedules_changed: Callable[[], None],
    attribute: Callable[[], None],
    hub: Hub,
    teller: Teller,
    checkpoint: Checkpoint,
) -> Parts:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    reach = reach_of(foundation.accounts, foundation.catalogue.manifests)
    intake = open_intake(
        foundation,
        hot,
        templates,
        categories,
        wake=waker.wake,
        metrics=metrics,
        checkpoint=checkpoint,
    )
    replayer = Replayer(
        pool=hot,
        keyring=foundation.keyring,
        categories=categories,
        reach=reach,
        new_id=uuids.uuid7,
        now=now,
        wake=waker.wake,
        metrics=metrics,
    )
    return Parts(
        settings=foundation.settings.api,
        pool=pool,
        keyring=foundation.keyring,
        intake=intake,
        replayer=replayer,
        templates=templates,
        authentication=Authentication(keys),
        metrics=metrics,
        providers={account.name: account.provider for account in foundation.accounts},
        exposition=exposition(registry, pool),
        ready=_ready(pool),
        wake=waker.wake,
        sweep=sweeper.wake,
        schedules_changed=schedules_changed,
        attribute=attribute,
        conversions_wait=wait_of(foundation.settings.tracking),
        hub=hub,
        tell=teller.tell,
        inbox=foundation.settings.inbox,
        max_callback=foundation.settings.receipts.max_body,
        limits=foundation.settings.rate_limits,
        accounts=foundation.accounts,
        breakers=frozenset(
            breakers_of(foundation.settings, foundation.accounts, foundation.catalogue.manifests)
        ),
    )


def _pages(foundation: Foundation, pool: Pool) -> Pages:
    reached = {channel for account in foundation.accounts for channel in account.channels}
    return Pages(
        pool,
        foundation.keyring,
        reached & PERSONAL,
        foundation.settings.web.name,
        foundation.settings.timezone,
        now,
    )


def _ready(pool: Pool) -> Callable[[], Awaitable[str]]:
    async def ready() -> str:
        await pool.fetchval("SELECT 1")
        return ""

    return ready


def _forgetting(
    keys: ApiKeyCache, templates: TemplateCache, categories: CategoryCache
) -> Callable[[str], None]:
    def heard(payload: str) -> None:
        table, _, key = payload.partition(":")
        if table in {"", "api_keys"}:
            keys.forget(key)
        if table in {"", "templates"}:
            templates.forget(key)
        categories.heard(payload)

    return heard


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server, hub: Hub) -> None:
    await stop.wait()
    log.info("api.stopping")
    hub.stop()  # else their streams would be waited for
    server.should_exit = True
