"""Settings of opens and clicks of our own."""

from typing import Annotated

from pydantic import Field

from tidings.settings.section import Seconds, Section


class TrackingSettings(Section):
    opens: bool = False
    """Whether opens of emails are tracked, where their templates do not say. It needs `web.public_url`."""
    clicks: bool = False
    """Whether links lead through Tidings, where the templates do not say. It needs `web.public_url`."""
    link_lifetime: Seconds = 31_536_000
    """Seconds for which such links lead on; they end sooner where their notification is not kept for as long."""
    conversion_window: Seconds = 2_592_000
    """Seconds for which a conversion (`POST /events`) is put down to the message that its user followed or opened before it."""
    judged_after: Annotated[float, Field(ge=0, le=60)] = 5
    """Seconds after which a request for a link or a pixel is judged, so that what comes together is seen together."""
    too_soon: Annotated[float, Field(ge=0, le=60)] = 2
    """Seconds after a message within which no person can have opened it."""
