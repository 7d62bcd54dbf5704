"""From claimed work to a message, or to the verdict that there will be none."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime

import structlog

from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.messages import Message
from tidings.domain.reasons import Reason
from tidings.domain.retry import Settle
from tidings.domain.templates import TemplateVersion
from tidings.rendering.compiled import Render, compile_content
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.store import templates
from tidings.store.database import Connection
from tidings.store.deliveries import Work

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Compiled = Mapping[Channel, Render]


class CompiledTemplates:
    """Template versions, compiled once per process; they never change, so nothing invalidates them."""

    def __init__(self, limit: int = 2_000) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, int], Compiled] = OrderedDict()

    async def load(self, connection: Connection, wanted: Iterable[tuple[str, int]]) -> None:
        """Make these known, with one query for all that are not; the longest unused give way."""
        needed = set(wanted)
        for key in needed & self._known.keys():
            self._known.move_to_end(key)
        if missing := needed - self._known.keys():
            for key, version in (await templates.versions(connection, missing)).items():
                self._known[key] = _compile(version)
        while len(self._known) > max(self._limit, len(needed)):
            self._known.popitem(last=False)

    def of(self, template_id: str, version: int) -> Compiled:
        """Empty for a version that is gone or does not compile any more."""
        return self._known.get((template_id, version), {})


def _compile(version: TemplateVersion) -> Compiled:
    """A version that compiled when it was saved may not with another release of the engine: that fails
    its deliveries, and must not stop the worker."""
    try:
        return compile_content(
            version.template_id, version.content, version.locales, version.locale
        )
    except TemplateSourceError as error:
        log.error(  # noqa: TRY400 - the traceback would add nothing
            "template.broken",
            template_id=version.template_id,
            version=version.version,
            path=error.path,
            line=error.line,
        )
        return {}


def prepare(work: Work, compiled: Compiled, *, attempt: int, now: datetime) -> Message | Settle:
    """Re-check what may have changed since acceptance, then render."""
    if work.expires_at is not None and work.expires_at <= now:
        return Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED)
    render = compiled.get(work.channel)
    if render is None:
        detail = "this version of the template does not compile"
        return Settle(DeliveryStatus.FAILED, Reason.RENDERING_FAILED, detail)
    try:
        content = render(context_of(work.payload["data"], work.payload["recipient"]))
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
