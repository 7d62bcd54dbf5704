"""Rendering a version in all its languages before it is stored, so that it does not fail when it is sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.domain.advice import Advice, advice
from tidings.domain.channels import Channel
from tidings.domain.digests import data_of
from tidings.domain.messages import JSON, Content
from tidings.domain.reasons import Reason
from tidings.domain.samples import sample
from tidings.domain.templates import Edition
from tidings.rendering.compiled import Render
from tidings.rendering.context import context_of
from tidings.rendering.deriving import derived
from tidings.rendering.engine import RenderingError
from tidings.rendering.locating import place_of

READER = {"user_id": "user", "locale": None, "timezone": "UTC"}


@dataclass(frozen=True, slots=True)
class Failure:
    """A channel that does not render. locale: None for the default's; line: None where it is not known.
    origin: the layout or partial that the place is in, as partials.footer.text. certain: with data that the contract allows; otherwise with data that was made up."""

    channel: Channel
    locale: str | None
    path: str
    message: str
    line: int | None
    column: int | None
    origin: str | None
    certain: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A channel as it is rendered in one of its languages."""

    channel: Channel
    locale: str | None
    content: Content


Examined = Failure | Shown


def examine(edition: Edition, compiled: Mapping[Channel, Render]) -> Iterator[Examined]:
    """Every channel in every language it is written in.

    The data is the editor's sample. Without one it is made up from what is declared, once whole and once with
    only what is required; where nothing is declared, from what the template uses.
    """
    for data, certain in _documents(edition):
        for channel, render in compiled.items():
            for locale in (None, *(tag for tag, one in edition.locales.items() if channel in one)):
                yield _rendered(edition, channel, locale, render, data, certain=certain)


def advices(found: Examined) -> list[Advice]:
    return advice(found.channel, found.content) if isinstance(found, Shown) else []


def as_rendered(edition: Edition, data: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Data as it is sent, in the form that the templates get: a digest of one, where there are digests."""
    return data if edition.digest is None else data_of([dict(data)], 1)


def _documents(edition: Edition) -> Iterator[tuple[Mapping[str, JSON], bool]]:
    if edition.sample is not None:
        yield as_rendered(edition, edition.sample), True
    if edition.contract is None:
        if edition.sample is None:
            yield sample(derived(edition), whole=True), False
        return
    for whole in (True, False):
        data = sample(edition.contract.schema, whole=whole)
        if not edition.contract.mismatches(data):
            yield as_rendered(edition, data), True


def _rendered(
    edition: Edition,
    channel: Channel,
    locale: str | None,
    render: Render,
    data: Mapping[str, JSON],
    *,
    certain: bool,
) -> Examined:
    context = context_of(data, {**READER, "locale": locale or edition.locale})
    try:
        return Shown(channel, locale, render(context))
    except RenderingError as error:
        path, _, said = error.detail.partition(": ")
        written = locale if channel in edition.locales.get(locale or "", {}) else None
        origin, line, column = place_of(edition, written, error) or (None, None, None)
        # Made-up texts need not be what a filter takes; that a variable is missing is no matter of values.
        missing = error.reason is Reason.UNDEFINED_VARIABLE
        sure = certain and (missing or edition.sample is not None)
        return Failure(
            channel, locale, path, said or path, line, column, origin=origin, certain=sure
        )


def constant(edition: Edition, found: Shown) -> bool:
    """Whether it is the same for all data."""
    written = edition.content if found.locale is None else edition.locales[found.locale]
    return "{" not in str(list(_texts(written[found.channel])))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
