"""What the path of a request must not hold."""

from fastapi import Request

from tidings.api.problems import Code, Problem


async def no_slash_in_a_segment(request: Request) -> None:
    """Refuses %2F: it is decoded before the route is looked for, which may then be of something else."""
    if b"%2f" in request.scope.get("raw_path", b"").lower():
        raise Problem(
            Code.INVALID_REQUEST, "A part of the path holds %2F, which no id of Tidings contains."
        )
