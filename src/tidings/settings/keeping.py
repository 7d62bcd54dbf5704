"""Settings of what is kept, and for how long."""

from typing import Annotated

from pydantic import Field

from tidings.settings.section import Seconds, Section

Days = Annotated[float, Field(ge=0, le=36_500)]


class RetentionSettings(Section):
    notifications: Days = 90
    """Days for which a notification is kept with its deliveries, attempts and receipts, after the last that happened
    to it; 0 for ever. They go by the week, so some are kept up to a week longer."""
    inbox: Days = 365
    """Days for which an entry of an inbox is kept; 0 for ever. They go by the week, too."""
    batches: Days = 90
    """Days for which a batch is kept; 0 for ever. It is kept for as long as a notification of it is, and while it is
    open."""
    account_events: Days = 30
    """Days for which the changes of an account's breaker are kept, the last 1000 of each account; 0 for ever."""
    dead_letters: Days = 90
    """Days for which a dead letter is kept; 0 for ever."""
    outbox: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Messages that the outbox keeps; the oldest go first."""
    idempotency: Seconds = 86_400
    """Seconds for which an Idempotency-Key is remembered."""
    feed_changes: Seconds = 86_400
    """Seconds for which changes of in-app feeds are kept for those who come back; after that they load it anew."""
