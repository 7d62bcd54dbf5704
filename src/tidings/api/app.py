"""The HTTP application."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from tidings import __version__
from tidings.api import problems
from tidings.api.hot import Endpoint, HotRoutes
from tidings.api.limits import BodyLimit
from tidings.api.methods import methods_of
from tidings.api.openapi import describe_sending
from tidings.api.parts import Parts
from tidings.api.routes import (
    accounts,
    batches,
    bulk,
    limits,
    notifications,
    operations,
    outbox,
    schedules,
    sending,
    template_versions,
    templates,
    users,
)
from tidings.api.routes.bulk import NDJSON

HOT: Mapping[str, Endpoint] = {
    "/notifications/send": sending.send,
    "/notifications/bulk": bulk.bulk,
}


def create_server(parts: Parts) -> ASGIApp:
    """What the server runs: the app, with the hot routes before it."""

    def around(call: ASGIApp) -> ASGIApp:
        limited = BodyLimit(call, **_body_limits(parts))
        return problems.LastResort(limited, problems.answering(parts.metrics))

    return HotRoutes(create_app(parts), HOT, around)


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
    )
    app.state.parts = parts
    for path, endpoint in HOT.items():
        app.add_route(path, endpoint, methods=["POST"], include_in_schema=False)
    for module in (
        notifications,
        batches,
        schedules,
        templates,
        template_versions,
        users,
        outbox,
        limits,
        accounts,
        operations,
    ):
        app.include_router(module.router)
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
        "limits": {"/notifications/bulk": parts.settings.max_bulk_body},
        "streams": {"/notifications/bulk": NDJSON},
    }
