"""For those who operate it: health and metrics."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.store.database import UNAVAILABLE

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    status: str


@router.get("/health/live")
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/health/ready", responses={503: problems(503)[503]})
async def ready(parts: Wired) -> Health:
    """The database answers and its schema is the one that this version needs."""
    try:
        missing = await parts.ready()
    except UNAVAILABLE:
        missing = "The database cannot be reached."
    if missing:
        raise Problem(Code.UNAVAILABLE, missing, headers={"Retry-After": "1"})
    return Health(status="ok")


@router.get("/metrics", response_class=Response, responses={503: problems(503)[503]})
async def metrics(parts: Wired) -> Response:
    """Prometheus exposition."""
    return Response(await parts.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
