"""Rendering a version in all its languages before it is stored, so that it does not fail when it is sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tidings.domain.advice import Advice, advice
from tidings.domain.channels import Channel
from tidings.domain.digests import data_of
from tidings.domain.messages import JSON, Content
from tidings.domain.reasons import Reason
from tidings.domain.samples import alternatives, names_types, sample
from tidings.domain.templates import Edition
from tidings.rendering.compiled import Render
from tidings.rendering.context import context_of
from tidings.rendering.deriving import derived
from tidings.rendering.engine import RenderingError
from tidings.rendering.locating import place_of

READER = {"user_id": "user", "locale": None, "timezone": "UTC"}


class Given(StrEnum):
    """The data that a version is tried with, in words for people."""

    SAMPLE = "with the sample"
    WHOLE = "with data that has all that `variables` tells of"
    OTHER = "with other truth values, types or alternatives that `variables` allows"
    LEAST = "with data that has only what `variables` requires"
    GUESSED = "with data that was made up"


@dataclass(frozen=True, slots=True)
class Failure:
    """A channel that does not render. locale: None for the default's; line: None where it is not known.
    origin: the layout or partial that the place is in, as partials.footer.text. certain: whether the data says that it
    will; otherwise its values, which were made up, may be at fault."""

    channel: Channel
    locale: str | None
    path: str
    message: str
    line: int | None
    column: int | None
    origin: str | None
    given: Given
    certain: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A channel as it is rendered in one of its languages."""

    channel: Channel
    locale: str | None
    content: Content
    given: Given


Examined = Failure | Shown


def examine(edition: Edition, compiled: Mapping[Channel, Render]) -> Iterator[Examined]:
    """Every channel in every language it is written in.

    The data is the editor's sample, and is made up from what is declared, once whole and once with only what is
    required, and with each of the alternatives that there are. Where there is neither, it is made up from what the template uses.
    """
    typed = edition.contract is not None and names_types(edition.contract.schema)
    for data, given in _documents(edition):
        for channel, render in compiled.items():
            for locale in (None, *(tag for tag, one in edition.locales.items() if channel in one)):
                yield _rendered(edition, channel, locale, render, data, given, typed=typed)


def advices(found: Examined) -> list[Advice]:
    return advice(found.channel, found.content) if isinstance(found, Shown) else []


def as_rendered(edition: Edition, data: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Data as it is sent, in the form that the templates get: a digest of one, where there are digests."""
    return data if edition.digest is None else data_of([dict(data)], 1)


def _documents(edition: Edition) -> Iterator[tuple[Mapping[str, JSON], Given]]:
    if edition.sample is not None:
        yield as_rendered(edition, edition.sample), Given.SAMPLE
    if edition.contract is None:
        if edition.sample is None:
            yield sample(derived(edition), whole=True), Given.GUESSED
        return
    schema = edition.contract.schema
    made = [(sample(schema, whole=True), Given.WHOLE), (sample(schema, whole=False), Given.LEAST)]
    made += [(one, Given.OTHER) for one in alternatives(schema)]
    for data, given in made:
        if not edition.contract.mismatches(data):
            yield as_rendered(edition, data), given


def _rendered(
    edition: Edition,
    channel: Channel,
    locale: str | None,
    render: Render,
    data: Mapping[str, JSON],
    given: Given,
    *,
    typed: bool,
) -> Examined:
    context = context_of(data, {**READER, "locale": locale or edition.locale})
    try:
        return Shown(channel, locale, render(context), given)
    except RenderingError as error:
        path, _, said = error.detail.partition(": ")
        written = locale if channel in edition.locales.get(locale or "", {}) else None
        origin, line, column = place_of(edition, written, error) or (None, None, None)
        certain = _is_certain(error, given, typed=typed)
        return Failure(
            channel, locale, path, said or path, line, column, origin, given, certain=certain
        )


def _is_certain(error: RenderingError, given: Given, *, typed: bool) -> bool:
    """Made-up texts need not be what a filter takes. That a variable is missing is no matter of values, nor that little
    data is too much, nor that a value is of a kind that does not fit, where it was declared to be of it."""
    if given in {Given.SAMPLE, Given.GUESSED}:
        return given is Given.SAMPLE
    sure = error.reason in {Reason.UNDEFINED_VARIABLE, Reason.RENDERING_LIMIT}
    return sure or (typed and error.of_kind)


def constant(edition: Edition, found: Shown, path: str) -> bool:
    """Whether what is said of it is the same for all data. path: the field, as email.subject; of a push message all
    fields count, which travel as one."""
    written = edition.content if found.locale is None else edition.locales[found.locale]
    source = written[found.channel]
    field = source.get(path.partition(".")[2])
    whole = found.channel is Channel.PUSH or field is None
    return "{" not in str(list(_texts(source if whole else field)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
