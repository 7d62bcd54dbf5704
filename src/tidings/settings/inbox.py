"""Settings of the in-app feed, as browsers and apps watch it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from tidings.settings.section import Section, Texts


class InboxSettings(Section):
    origins: Texts = ()
    """Origins of pages that may use a user's token in a browser, as https://app.example.com; * for all. Pages of Tidings'
    own origin always may."""
    token_lifetime: Annotated[float, Field(ge=10, le=86_400)] = 3600
    """Seconds for which a user's token is good, unless less is asked for."""
    connections: Annotated[int, Field(ge=1, le=60_000)] = 10_000
    """Streams that one API process keeps open at the most."""
    connections_per_user: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Streams of one user that one API process keeps open at the most."""
    heartbeat: Annotated[float, Field(ge=1, le=300)] = 20
    """Seconds without an event after which a stream sends a heartbeat; below the time after which proxies give up."""
    buffer: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Events that wait for a stream that is up to date; with more, it is too slow and is ended, to come back."""
    patience: Annotated[float, Field(ge=1, le=300)] = 30
    """Seconds after which a stream is ended that takes nothing."""
    poll: Annotated[float, Field(ge=0.1, le=300)] = 5
    """Seconds between looks for changes that no message told of."""

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if one != "*" and not _is_origin(one)]:
            raise ValueError(f"allowed are origins like https://app.example.com: {wrong[0]!r}")
        return tuple(one.lower() for one in value)


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and parts.hostname) and text == f"{parts.scheme}://{parts.netloc}"
