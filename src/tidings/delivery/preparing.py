"""From claimed work to a message, or to the verdict that there will be none."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.messages import Message
from tidings.domain.reasons import Reason
from tidings.domain.retry import Settle
from tidings.domain.templates import TemplateVersion
from tidings.rendering.compiled import Render, compile_content
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError
from tidings.store import templates
from tidings.store.database import Connection
from tidings.store.deliveries import Work

Compiled = Mapping[Channel, Render]


class CompiledTemplates:
    """Template versions, compiled once per process; they never change, so nothing invalidates them."""

    def __init__(self, limit: int = 2_000) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, int], Compiled] = OrderedDict()

    async def load(self, connection: Connection, wanted: Iterable[tuple[str, int]]) -> None:
        """Make these known, with one query for all that are not."""
        missing = set(wanted) - self._known.keys()
        if not missing:
            return
        for key, version in (await templates.versions(connection, missing)).items():
            self._known[key] = _compile(version)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)

    def of(self, template_id: str, version: int) -> Compiled:
        return self._known[template_id, version]


def _compile(version: TemplateVersion) -> Compiled:
    return compile_content(version.template_id, version.content)


def prepare(work: Work, compiled: Compiled, *, attempt: int, now: datetime) -> Message | Settle:
    """Re-check what may have changed since acceptance, then render."""
    if work.expires_at is not None and work.expires_at <= now:
        return Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED)
    try:
        content = compiled[work.channel](
            context_of(work.payload["data"], work.payload["recipient"])
        )
    except RenderingError as error:
        return Settle(DeliveryStatus.FAILED, error.reason, error.detail)
    return Message(
        delivery_id=work.delivery_id,
        notification_id=work.notification_id,
        channel=work.channel,
        address=work.address,
        content=content,
        accepted_at=ids.time_of(work.notification_id),
        category=work.category,
        attempt=attempt,
        user_id=work.user_id,
        metadata=work.payload["metadata"],
    )
