"""A template, as stored: content in versions, of which a notification pins one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tidings.domain.channels import Channel
from tidings.domain.messages import JSON
from tidings.domain.planning import OnUnknown


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """content: by channel, as the editor wrote it."""

    template_id: str
    version: int
    name: str
    category: str
    on_unknown: OnUnknown
    content: Mapping[Channel, Mapping[str, JSON]] = field(repr=False)
    created_at: datetime | None = None
