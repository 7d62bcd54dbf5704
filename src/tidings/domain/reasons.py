"""Why a delivery is in its state: one closed list for API, logs, metrics, pages and docs."""

from enum import StrEnum


class Reason(StrEnum):
    """A reason code; its text says what it means to a person who asks why."""

    text: str

    def __new__(cls, code: str, text: str) -> "Reason":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    # decided when the notification was accepted
    NO_ADDRESS = "no_address", "The recipient has no address for this channel."
    NO_CONTENT = "no_content", "The template has no content for this channel."
    NO_ACCOUNT = "no_account", "No provider account serves this channel."
    PREFERENCE_OFF = "preference_off", "The recipient turned this channel off for this category."
    NOT_CHOSEN = (
        "not_chosen",
        "The category is off on this channel for those who did not turn it on.",
    )
    ADDRESS_SUPPRESSED = "address_suppressed", "The address is on the suppression list."
    COPY_SUPPRESSED = (
        "copy_suppressed",
        "An address in cc or bcc is on the suppression list, and gets no copy.",
    )
    QUIET_HOURS = "quiet_hours", "Waits: the recipient's quiet hours are not over."
    SEND_WINDOW = "send_window", "Waits: the send window of the category is not open."
    NO_SEND_TIME = (
        "no_send_time",
        "The recipient's quiet hours leave no time of the category's send window.",
    )
    FALLBACK_WAITING = (
        "fallback_waiting",
        "Waits: an earlier channel of the fallback is tried first.",
    )
    FALLBACK_NOT_NEEDED = "fallback_not_needed", "An earlier channel of the fallback succeeded."
    DUPLICATE = (
        "duplicate",
        "The same template went to this recipient within the template's deduplication window.",
    )
    DIGESTED = "digested", "It went into a digest, which tells it together with others."
    COLLAPSED = "collapsed", "A newer notification with the same collapse key took its place."

    FALLBACK_HELD = (
        "fallback_held",
        "An earlier channel of the fallback may have succeeded; that is left for a person.",
    )

    # decided before a provider was called
    CANCELLED = "cancelled", "Cancelled by request before it was sent."
    EXPIRED = "expired", "Its expiry passed before it could be sent."
    UNDEFINED_VARIABLE = (
        "undefined_variable",
        "The template uses a variable that the data does not hold.",
    )
    RENDERING_FAILED = "rendering_failed", "The template could not be rendered with this data."
    RENDERING_LIMIT = "rendering_limit", "Rendering exceeded its limit of time or size."
    UNREADABLE = (
        "unreadable",
        "What is stored cannot be read, with this key ring or by this release; it waits for the right one.",
    )
    PREPARED_ALONE = (
        "prepared_alone",
        "A worker died with it in hand before it was sent; it is prepared apart from all others.",
    )
    KILLS_WORKERS = (
        "kills_workers",
        "Every worker that prepared it died: it needs more than there is, or meets an error of ours.",
    )
    INTERNAL_ERROR = (
        "internal_error",
        "Tidings failed while preparing it, which is an error of ours: see the log of the worker.",
    )
    SCHEDULED = "scheduled", "Waits: its time has not come."
    QUEUED = "queued", "Waits: no worker has taken it yet."
    BATCH_PAUSED = "batch_paused", "Waits: its batch is paused."
    ACCOUNTS_HELD_BACK = (
        "accounts_held_back",
        "Waits: every account that could send it fails or throttles at the moment.",
    )
    ACCOUNTS_BUSY = (
        "accounts_busy",
        "Waits: the account that is to send it has as many calls under way as it bears.",
    )
    FILES_WAITING = (
        "files_waiting",
        "Waits: the worker has as much of attached files in hand as it may.",
    )
    RATE_LIMITED = "rate_limited", "Waits: a rate limit is used up at the moment."
    RATE_LIMIT_SKIPPED = (
        "rate_limit_skipped",
        "A rate limit was used up, and what is beyond it is skipped.",
    )
    FREQUENCY_CAPPED = (
        "frequency_capped",
        "As many of this category as its frequency cap allows went to this address already.",
    )
    ADDRESS_FORBIDDEN = "address_forbidden", "The outbound guard does not allow this destination."

    WORKER_STOPPED = (
        "worker_stopped",
        "The worker was stopped before its turn came; it was not sent.",
    )

    # what a provider answered
    PROVIDER_ACCEPTED = "provider_accepted", "The provider took the message."
    STORED = "stored", "Stored where the recipient reads it."
    ADDRESS_INVALID = "address_invalid", "The provider does not accept this address."
    MAILBOX_NOT_FOUND = "mailbox_not_found", "The address does not exist."
    ENDPOINT_GONE = "endpoint_gone", "The endpoint answered that it is gone for good."
    MESSAGE_TOO_LARGE = "message_too_large", "The provider refused the message for its size."
    CONTENT_REJECTED = "content_rejected", "The provider refused what the message says."
    PROVIDER_REJECTED = "provider_rejected", "The provider refused the message for good."
    PROVIDER_THROTTLED = "provider_throttled", "The provider asked to slow down."
    PROVIDER_UNAVAILABLE = (
        "provider_unavailable",
        "The provider answered that it cannot take it now.",
    )
    PROVIDER_SUPPRESSED = (
        "provider_suppressed",
        "The provider itself no longer sends to this address: it bounced, complained or opted out there.",
    )
    ACCOUNT_REFUSED = (
        "account_refused",
        "The provider does not let the account send this: its sender, region, plan or standing must be mended.",
    )
    CREDENTIALS_REFUSED = "credentials_refused", "The provider refused the account's credentials."
    CONNECTION_FAILED = "connection_failed", "No connection to the provider; nothing was sent."
    TLS_FAILED = "tls_failed", "The provider's TLS could not be verified; nothing was sent."
    MALFORMED_ANSWER = "malformed_answer", "The provider answered in a way that cannot be read."

    # when it is not known whether the provider took it
    TIMED_OUT = "timed_out", "The provider did not answer in time; it may have taken the message."
    CONNECTION_LOST = (
        "connection_lost",
        "The connection broke mid-call; the message may have been taken.",
    )
    WORKER_LOST = "worker_lost", "The worker died mid-call; the message may have been taken."
    PROVIDER_FAILED = (
        "provider_failed",
        "The provider's code failed mid-call; the message may have been taken.",
    )

    # what the provider reported later
    CONFIRMED = "confirmed", "The provider reported that it arrived."
    BOUNCED_HARD = "bounced_hard", "The provider reported that the address does not work."
    BOUNCED_SOFT = (
        "bounced_soft",
        "The provider reported that the address did not take it; it may work another time.",
    )
    PROVIDER_DROPPED = (
        "provider_dropped",
        "The provider took it, and reported later that it did not send it.",
    )
    DELIVERY_FAILED = "delivery_failed", "The provider reported that it could not be delivered."

    # where it ended
    ATTEMPTS_EXHAUSTED = "attempts_exhausted", "Tried as often as the policy allows."
    TIME_EXHAUSTED = "time_exhausted", "Tried for as long as the policy allows."
