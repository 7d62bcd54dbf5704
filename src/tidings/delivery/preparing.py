"""From claimed work to a message, or to the verdict that there will be none."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import structlog

from tidings.delivery.linking import NO_URLS, Urls
from tidings.domain import ids
from tidings.domain.channels import Channel
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.events import CATEGORY, told
from tidings.domain.messages import Content, EmailContent, Message, WebhookContent
from tidings.domain.priorities import Priority
from tidings.domain.reasons import Reason
from tidings.domain.retry import Settle
from tidings.domain.senders import Senders, sender_for, senders_of
from tidings.domain.templates import TemplateVersion
from tidings.domain.tracking import NO_CHOICE, TrackingChoice
from tidings.rendering.compiled import Render, compile_edition
from tidings.rendering.context import context_of
from tidings.rendering.engine import RenderingError, TemplateSourceError
from tidings.rendering.engines import ACCEPTED
from tidings.store import templates
from tidings.store.database import Connection
from tidings.store.deliveries import Work

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Compiled = Mapping[Channel, Render]

_Known = tuple[Compiled, Senders, TrackingChoice]
_NOTHING: _Known = MappingProxyType({}), MappingProxyType({}), NO_CHOICE


class CompiledTemplates:
    """Template versions, compiled once per process; they never change, so nothing invalidates them."""

    def __init__(self, limit: int = 2_000) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()

    async def load(self, connection: Connection, wanted: Iterable[tuple[str, int]]) -> None:
        """Make these known, with one query for all that are not; the longest unused give way."""
        needed = set(wanted)
        for key in needed & self._known.keys():
            self._known.move_to_end(key)
        if missing := needed - self._known.keys():
            for key, version in (await templates.versions(connection, missing)).items():
                self._known[key] = _compile(version), senders_of(version), version.tracking
        while len(self._known) > max(self._limit, len(needed)):
            self._known.popitem(last=False)

    def of(self, template_id: str, version: int) -> Compiled:
        """Empty for a version that is gone or does not compile any more."""
        return self._known.get((template_id, version), _NOTHING)[0]

    def tracking(self, template_id: str, version: int) -> TrackingChoice:
        return self._known.get((template_id, version), _NOTHING)[2]

    def signed(self, work: Work) -> Work:
        """With the sender that the template names."""
        _, senders, _ = self._known.get((work.template_id, work.template_version), _NOTHING)
        if not senders or work.channel is not Channel.EMAIL or work.unreadable:
            return work
        return replace(work, sender=sender_for(senders, work.payload["recipient"].get("locale")))


def _compile(version: TemplateVersion) -> Compiled:
    """A version that compiled when it was saved may not with another release of Tidings or of the engine: that fails
    its deliveries, and must not stop the others."""
    try:
        return compile_edition(version.template_id, version, ACCEPTED)
    except TemplateSourceError as error:
        path, line = error.path, error.line
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are sent
        path, line = type(error).__name__, None
    log.error(
        "template.broken",
        template_id=version.template_id,
        version=version.version,
        path=path,
        line=line,
    )
    return {}


def prepare(
    work: Work,
    compiled: Compiled,
    *,
    attempt: int,
    now: datetime,
    urls: Urls = NO_URLS,
    sender: str | None = None,
    priority: Priority = Priority.MEDIUM,
) -> Message | Settle:
    """Re-check what may have changed since acceptance, then render. sender: of an email; None for the account's own."""
    if work.expires_at is not None and work.expires_at <= now:
        return Settle(DeliveryStatus.EXPIRED, Reason.EXPIRED)
    if work.category == CATEGORY:
        return _telling(work, attempt)
    render = compiled.get(work.channel)
    if render is None:
        detail = "this version of the template does not compile"
        return Settle(DeliveryStatus.FAILED, Reason.RENDERING_FAILED, detail)
    try:
        content = render(context_of(work.payload["data"], work.payload["recipient"], urls.names))
    except RenderingError as error:
        return Settle(DeliveryStatus.FAILED, error.reason, error.detail)
    return Message(
        delivery_id=work.delivery_id,
        notification_id=work.notification_id,
        channel=work.channel,
        address=work.address,
        content=urls.on(_addressed(content, sender, work.payload.get("email"))),
        accepted_at=ids.time_of(work.notification_id),
        category=work.category,
        attempt=attempt,
        user_id=work.user_id,
        metadata=work.payload["metadata"],
        expires_at=work.expires_at,
        priority=priority,
        collapse_key=work.collapse_key,
    )


def _telling(work: Work, attempt: int) -> Message:
    """An event, which is no template's."""
    event = told(work.payload["data"])
    return Message(
        delivery_id=work.delivery_id,
        notification_id=work.notification_id,
        channel=work.channel,
        address=work.address,
        content=WebhookContent(event.type, dict(event.data)),
        accepted_at=event.at,
        attempt=attempt,
        event_id=event.id,
    )


def _addressed(content: Content, sender: str | None, options: Mapping[str, Any] | None) -> Content:
    """An email from this sender; options: what the request says goes before what the template does."""
    if not isinstance(content, EmailContent):
        return content
    if sender is not None:
        content = replace(content, sender=sender)
    if not options:
        return content
    return replace(
        content,
        reply_to=options.get("reply_to", content.reply_to),
        cc=tuple(options.get("cc", ())),
        bcc=tuple(options.get("bcc", ())),
    )
