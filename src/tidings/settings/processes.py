"""Settings of the processes: the API, the workers, what they may reach and log."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tidings.settings.section import Seconds, Section, Texts


class ApiSettings(Section):
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """TCP port to listen on."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """API processes that share the port."""
    max_body: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 256 * 2**10
    """Largest body of a request, in bytes; bulk has its own limit."""
    max_bulk_body: Annotated[int, Field(ge=1024, le=512 * 2**20)] = 32 * 2**20
    """Largest body of a bulk request, in bytes."""
    max_attachments: Annotated[int, Field(ge=0, le=40 * 2**20)] = 10 * 2**20
    """Largest size of the files of one notification together, in bytes, beside its body; 0 for none."""
    commit_batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Notifications stored by one transaction at the most (group commit)."""
    shutdown_grace: Seconds = 10
    """Seconds that open requests get when the API is asked to stop."""


class WorkerSettings(Section):
    processes: Annotated[int, Field(ge=0, le=64)] = 0
    """Worker processes that `tidings serve` starts; 0 for two, or one on a machine with one core."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 768
    """Deliveries in flight in one worker process at the most."""
    claim_batch: Annotated[int, Field(ge=1, le=5_000)] = 256
    """Deliveries claimed by one query at the most."""
    attachment_memory: Annotated[int, Field(ge=2**20, le=16 * 2**30)] = 64 * 2**20
    """Bytes of attached files that a worker process has in hand at the most; one message that is larger goes alone."""
    lease: Annotated[float, Field(ge=2, le=3600)] = 20
    """Seconds after which what a dead worker held is taken over; longer than every provider time-out."""
    weights: dict[Literal["high", "medium", "low"], Annotated[float, Field(gt=0, le=1000)]] = Field(
        {"high": 6, "medium": 3, "low": 1}
    )
    """How the places are shared while all of these wait; critical goes before them."""
    heartbeat: Annotated[float, Field(ge=0.2, le=600)] = 5
    """Seconds between renewals of the leases; at most a third of the lease."""
    poll: Annotated[float, Field(ge=0.05, le=60)] = 1
    """Seconds between looks at the queue when nothing wakes the worker."""
    shutdown_grace: Seconds = 15
    """Seconds that calls in flight get when the worker is asked to stop."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port for Prometheus of a worker that runs alone; 0 for none. Under `serve` the API has them all."""

    @model_validator(mode="after")
    def _heartbeat_fits(self) -> "WorkerSettings":
        if self.heartbeat * 3 > self.lease:
            raise ValueError("heartbeat must be at most a third of lease")
        return self


class OutboundSettings(Section):
    allow: Texts = ()
    """Networks (CIDR) or host names that webhooks may reach although they are private, e.g. 10.1.0.0/16."""


class LogSettings(Section):
    format: Literal["console", "json"] | None = None
    """console or json; by default console on a terminal and json elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""
