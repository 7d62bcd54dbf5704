"""The metrics, by name; made once and handed to who counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    3600,
)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.accepted = Counter(
            "tidings_notifications_accepted",
            "Notifications accepted.",
            ["priority"],
            registry=registry,
        )
        self.refused = Counter(
            "tidings_requests_refused",
            "Requests answered with a problem.",
            ["code"],
            registry=registry,
        )
        self.callbacks = Counter(
            "tidings_callbacks",
            "Callbacks of vendors, by whether they could be verified.",
            ["account", "outcome"],
            registry=registry,
        )
        self.receipts = Counter(
            "tidings_receipts",
            "Events that vendors reported, repeated ones included.",
            ["account", "type"],
            registry=registry,
        )
        self.stray_receipts = Counter(
            "tidings_stray_receipts",
            "Events of messages that are not known here.",
            registry=registry,
        )
        self.engagements = Counter(
            "tidings_engagements",
            "Requests for the pixels and the tracked links of messages, by who made them as far as can be told.",
            ["type", "by"],
            registry=registry,
        )
        self.events = Counter(
            "tidings_events",
            "Events on their way to subscriptions, one for each that wants it.",
            ["type"],
            registry=registry,
        )
        self.conversions = Counter(
            "tidings_conversions",
            "What people did, as applications told it.",
            registry=registry,
        )
        self.replays = Counter(
            "tidings_replays",
            "Dead letters that were sent once more.",
            ["channel"],
            registry=registry,
        )
        self.attempts = Counter(
            "tidings_attempts",
            "Calls to providers, by what they answered.",
            ["channel", "provider", "outcome"],
            registry=registry,
        )
        self.settled = Counter(
            "tidings_deliveries_settled",
            "Deliveries that reached a status.",
            ["channel", "status"],
            registry=registry,
        )
        self.attempt_seconds = Histogram(
            "tidings_attempt_seconds",
            "Duration of calls to providers.",
            ["provider"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.accept_to_send_seconds = Histogram(
            "tidings_accept_to_send_seconds",
            "From acceptance (or the scheduled time) to the provider's first acceptance.",
            ["priority"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rate_limited = Counter(
            "tidings_rate_limited",
            "Deliveries told to wait or skipped by a rate limit, each time that they asked.",
            ["limit", "over"],
            registry=registry,
        )
        self.rescues = Counter(
            "tidings_rescues", "Deliveries taken over from a worker that died.", registry=registry
        )
        self.endpoints_disabled = Counter(
            "tidings_endpoints_disabled",
            "Endpoints that were put on the suppression list, as they did nothing but fail for long.",
            ["account"],
            registry=registry,
        )
        self.lost_leases = Counter(
            "tidings_lost_leases",
            "Results that came after the lease had gone to another.",
            registry=registry,
        )
        self.unknown = Counter(
            "tidings_unknown_outcomes",
            "Calls of which it is not known what they did.",
            ["channel"],
            registry=registry,
        )
        self.partitions_dropped = Counter(
            "tidings_partitions_dropped",
            "Weekly partitions dropped by retention, by their table.",
            ["table"],
            registry=registry,
        )
        self.rows_forgotten = Counter(
            "tidings_rows_forgotten",
            "Rows that retention deleted one by one, by their table.",
            ["table"],
            registry=registry,
        )
        self.account_state = Gauge(
            "tidings_account_state",
            "1 for the state of each account's breaker, 0 for the others.",
            ["account", "state"],
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self.health_failing = Gauge(
            "tidings_health_failing",
            "1 while a worker cannot report and learn the health of accounts for another cause than the database "
            "being away; it sends on with what it knew.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.account_changes = Counter(
            "tidings_account_changes",
            "Changes of accounts' breakers, by the state they came to and why.",
            ["account", "state", "reason"],
            registry=registry,
        )
        self.feed_connections = Gauge(
            "tidings_feed_connections",
            "Open streams of in-app feeds.",
            ["transport"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.feed_events = Counter(
            "tidings_feed_events",
            "Events sent to those who watch a feed, heartbeats included.",
            ["transport"],
            registry=registry,
        )
        self.feed_closed = Counter(
            "tidings_feed_closed",
            "Streams of in-app feeds that ended, by why.",
            ["transport", "reason"],
            registry=registry,
        )
