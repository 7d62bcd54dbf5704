"""A template, as stored: content in versions, of which a notification pins one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tidings.domain.channels import Channel
from tidings.domain.contracts import Contract
from tidings.domain.digests import DigestRule
from tidings.domain.locales import fallbacks
from tidings.domain.messages import JSON
from tidings.domain.planning import OnUnknown
from tidings.domain.shared import NOTHING_SHARED, Shared
from tidings.domain.tracking import NO_CHOICE, TrackingChoice

EngineName = Literal["jinja", "liquid"]
"""What a template is written in."""

ByChannel = Mapping[Channel, Mapping[str, JSON]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What an editor decides of a version.

    content: by channel, as the editor wrote it. locale: the language of it. locales: content by language
    tag, for those who read it. deduplicate_seconds: for so long a repeat to the same recipient is left out.
    digest: how several to the same recipient are gathered into one.
    contract: the data that it takes; None where nothing is declared. sample: an example of it. shared: the layouts,
    partials and brand that it uses, as they were when it was stored. engine: what all of it is written in.
    """

    name: str
    category: str
    on_unknown: OnUnknown
    content: ByChannel = field(repr=False)
    locale: str | None = None
    locales: Mapping[str, ByChannel] = field(default_factory=dict, repr=False)
    deduplicate_seconds: int | None = None
    digest: DigestRule | None = None
    contract: Contract | None = None
    sample: Mapping[str, JSON] | None = field(default=None, repr=False)
    shared: Shared = NOTHING_SHARED
    tracking: TrackingChoice = NO_CHOICE
    engine: EngineName = "jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion(Edition):
    """published_at: when it first became the current one; None for a draft."""

    template_id: str
    version: int
    created_at: datetime | None = None
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TemplateState:
    """current: the version that new notifications get; None before one is published. archived_at: since
    when it takes no new notifications."""

    current: int | None
    latest: int
    archived_at: datetime | None


_BODIES = ("html", "markdown", "mjml")
_OF_ALL = frozenset({"from"})
"""What a translation has of the default content, where it does not have its own."""


def untranslated(edition: Edition) -> dict[str, list[str]]:
    """By language tag, the fields of the default content (as email.html) that its readers get in the
    default's language. A language written only for a region falls back to the one without it."""
    return {tag: _missing(edition, tag) for tag in edition.locales}


def _missing(edition: Edition, tag: str) -> list[str]:
    missing: list[str] = []
    for channel, source in edition.content.items():
        written = next(
            (
                edition.locales[one][channel]
                for one in fallbacks(tag)
                if channel in edition.locales.get(one, {})
            ),
            {},
        )
        missing += [f"{channel}.{name}" for name in source if not _is_written(name, written)]
    return missing


def _is_written(name: str, written: Mapping[str, JSON]) -> bool:
    """The body of an email may be written in another form, and its text is made from any."""
    if name in _BODIES or name == "text":
        return name in written or any(one in written for one in _BODIES)
    return name in written or (name in _OF_ALL and bool(written))


@dataclass(frozen=True, slots=True)
class Change:
    """path: as category, content.email.subject or locales.de.sms.body. None: it is not there."""

    path: str
    before: JSON = field(repr=False)
    after: JSON = field(repr=False)


def changes(before: Edition, after: Edition) -> list[Change]:
    """What differs between two versions, field by field, in the order of the paths."""
    old, new = _fields(before), _fields(after)
    return [
        Change(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _fields(edition: Edition) -> dict[str, JSON]:
    found: dict[str, JSON] = {
        "name": edition.name,
        "category": edition.category,
        "on_unknown": edition.on_unknown,
        "deduplicate_seconds": edition.deduplicate_seconds,
        "digest": None if edition.digest is None else edition.digest.window or "cadence",
        "engine": edition.engine,
        "track_opens": edition.tracking.opens,
        "track_clicks": edition.tracking.clicks,
        "locale": edition.locale,
        "variables": None if edition.contract is None else dict(edition.contract.schema),
        "sample": None if edition.sample is None else dict(edition.sample),
        **{f"shared.{one.kind}.{one.id}": one.version for one in edition.shared.parts},
    }
    parts = {"content": edition.content}
    parts |= {f"locales.{tag}": content for tag, content in edition.locales.items()}
    for where, content in parts.items():
        for channel, source in content.items():
            found[f"{where}.{channel}"] = "" if not source else None
            found |= {f"{where}.{channel}.{name}": value for name, value in source.items()}
    return found
