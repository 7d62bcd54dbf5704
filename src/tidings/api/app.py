"""The HTTP application."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from tidings import __version__
from tidings.api import problems
from tidings.api.cross_origin import CrossOrigin
from tidings.api.hot import Endpoint, HotRoutes
from tidings.api.hot_protocol import HotProtocol
from tidings.api.limits import BodyLimit
from tidings.api.methods import methods_of
from tidings.api.openapi import describe_sending
from tidings.api.parts import Parts
from tidings.api.paths import no_slash_in_a_segment
from tidings.api.routes import (
    accounts,
    attributes,
    batches,
    broadcasts,
    bulk,
    callbacks,
    categories,
    dead_letters,
    devices,
    digests,
    engagement,
    event_subscriptions,
    events,
    explain,
    inbox,
    inbox_events,
    inbox_tokens,
    limits,
    notifications,
    operations,
    outbox,
    preferences,
    schedules,
    segments,
    sending,
    shared,
    suppressions,
    template_proofs,
    template_trials,
    template_versions,
    templates,
    topics,
    unread_callbacks,
    user_data,
    user_import,
    users,
)
from tidings.api.routes.bulk import NDJSON
from tidings.api.routes.user_import import CSV
from tidings.api.sizes import largest_notification

RESOURCES = (
    notifications,
    explain,
    engagement,
    batches,
    dead_letters,
    schedules,
    templates,
    template_versions,
    template_proofs,
    template_trials,
    shared,
    users,
    user_import,
    user_data,
    devices,
    categories,
    preferences,
    inbox,
    inbox_tokens,
    inbox_events,
    suppressions,
    topics,
    attributes,
    segments,
    broadcasts,
    digests,
    outbox,
    limits,
    accounts,
    event_subscriptions,
    events,
    unread_callbacks,
    operations,
)


HOT: Mapping[str, Endpoint] = {
    "/notifications/send": sending.send,
    "/notifications/bulk": bulk.bulk,
}


@dataclass(frozen=True)
class Served:
    """What the server runs: the app, with the hot routes before it, and the protocol that finds the hottest first."""

    app: ASGIApp
    protocol: type[asyncio.Protocol]


def create_server(parts: Parts, pages: Sequence[BaseRoute] = ()) -> Served:
    """pages: for people, beside the API."""
    answer = problems.answering(parts.metrics)

    def around(call: ASGIApp) -> ASGIApp:
        return problems.LastResort(BodyLimit(call, **_body_limits(parts)), answer)

    app = create_app(parts)
    # Before the others: the API's routes are many, and each is asked whether a request is its own.
    app.router.routes[:0] = pages
    hot = HotRoutes(app, HOT, around, lambda error: problems.last_answer(error, answer))
    protocol = partial(
        HotProtocol,
        paths=frozenset({b"/notifications/send"}),
        answer=hot.answer,
        largest=parts.settings.max_body,
    )
    return Served(CrossOrigin(hot, parts.inbox.origins), cast("type[asyncio.Protocol]", protocol))


def create_app(parts: Parts) -> FastAPI:
    """The app with all its routes. The hot ones are plain Starlette: FastAPI's machinery around a
    route costs more than accepting a notification."""
    app = FastAPIOffline(  # /docs without fetching anything from elsewhere
        redoc_url=None,
        title="Tidings",
        version=__version__,
        summary="One HTTP call, delivered over the right channel, and known.",
        separate_input_output_schemas=False,
        redirect_slashes=False,
        dependencies=[Depends(no_slash_in_a_segment)],
    )
    app.state.parts = parts
    for path, endpoint in HOT.items():
        app.add_route(path, endpoint, methods=["POST"], include_in_schema=False)
    for resource in RESOURCES:
        app.include_router(resource.router)
    app.add_middleware(BodyLimit, **_body_limits(parts))
    # The last, so that it is around all.
    problems.install(app, parts.metrics, methods_of(lambda: _openapi(app)))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        app.openapi_schema = describe_sending(document)
    return app.openapi_schema


def _body_limits(parts: Parts) -> dict[str, Any]:
    return {
        "default": parts.settings.max_body,
        "limits": {
            "/notifications/send": largest_notification(parts.settings),
            "/notifications/bulk": parts.settings.max_bulk_body,
            "/suppressions/bulk": parts.settings.max_bulk_body,
            callbacks.PREFIX: parts.max_callback,
        },
        "streams": {"/notifications/bulk": (NDJSON,), "/users/import": (NDJSON, CSV)},
    }
