"""Endpoints: addresses whose server is the recipient's own. Which failures are its fault, and when it is left alone."""

from tidings.domain.reasons import Reason

LEAST_FAILURES = 10
"""Fewer say little, however long they lie apart."""

FAULTS = frozenset(
    {
        Reason.CONNECTION_FAILED,
        Reason.CONNECTION_LOST,
        Reason.CREDENTIALS_REFUSED,
        Reason.MALFORMED_ANSWER,
        Reason.PROVIDER_REJECTED,
        Reason.PROVIDER_UNAVAILABLE,
        Reason.TIMED_OUT,
        Reason.TLS_FAILED,
    }
)
"""What an endpoint that is out of order does. One that asks to wait, or refuses a message for its size, is not."""
