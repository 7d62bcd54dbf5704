"""Putting what templates share in its places, before anything is compiled: partials where they are included, and
bodies into their layouts."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from tidings.domain.channels import Channel
from tidings.domain.messages import JSON
from tidings.domain.shared import BRAND, Shared
from tidings.domain.templates import ByChannel, Edition
from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.hiding import TAG, place

_INCLUDE = re.compile(r"\{%-?\s*include\s+(?:\"([^\"]*)\"|'([^']*)')\s*-?%\}")
_CONTENT = re.compile(r"\{\{-?\s*content\s*(?:\|\s*safe\s*)?-?\}\}")
_BRAND = re.compile(rf"\b{BRAND}\b")
_DEEPEST = 5
_LARGEST = 1_000_000


def used(edition: Edition) -> tuple[set[str], set[str], bool]:
    """The layouts and partials that its own texts name, and whether they name the brand."""
    texts = list(_texts(edition))
    layouts = {
        str(source["layout"])
        for content in (edition.content, *edition.locales.values())
        for source in content.values()
        if "layout" in source
    }
    partials = {name for _, text in texts for name in included(text)}
    return layouts, partials, any(_BRAND.search(text) for _, text in texts)


def included(text: str) -> set[str]:
    return {found[1] or found[2] for found in _tags(_INCLUDE, text)}


def includes(text: str) -> Iterator[tuple[str, int, int]]:
    """The partials that it names, and where each of these tags begins and ends."""
    for found in _tags(_INCLUDE, text):
        yield found[1] or found[2], *found.span()


def without_includes(text: str) -> str:
    return _put(_tags(_INCLUDE, text), text, lambda _: "")


def places_of_content(layout: str) -> int:
    return len(list(_tags(_CONTENT, layout)))


def before_content(layout: str) -> str:
    """What of a layout is in front of the body."""
    return layout[: next(_tags(_CONTENT, layout)).start()]


def filled(layout: str, body: str) -> str:
    """The layout with the body in its first place for one."""
    return _put(islice(_tags(_CONTENT, layout), 1), layout, lambda _: body)


def _tags(kind: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Those of a kind that are tags to an engine: not in comments, and not in what is passed on as it is."""
    for tag in TAG.finditer(text):
        if (found := kind.fullmatch(text, *tag.span())) is not None:
            yield found


def _put(
    places: Iterable[re.Match[str]], text: str, instead: Callable[[re.Match[str]], str]
) -> str:
    pieces: list[str] = []
    end = 0
    for found in places:
        pieces += [text[end : found.start()], instead(found)]
        end = found.end()
    return "".join([*pieces, text[end:]])


def names_brand(text: str) -> bool:
    return _BRAND.search(text) is not None


def assembled(edition: Edition) -> Edition:
    """The edition with partials in it, and each email's layout instead of its name. Raises TemplateSourceError."""
    shared = edition.shared
    return replace(
        edition,
        content=_content(edition.content, shared, None),
        locales={tag: _content(one, shared, tag) for tag, one in edition.locales.items()},
    )


def _content(content: ByChannel, shared: Shared, tag: str | None) -> ByChannel:
    try:
        return {channel: _source(channel, source, shared) for channel, source in content.items()}
    except TemplateSourceError as error:
        raise (error if tag is None else error.of(tag)) from None


def _source(channel: Channel, source: Mapping[str, JSON], shared: Shared) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for name, value in source.items():
        path = f"{channel}.{name}"
        if name == "layout":
            found[name] = _layout(path, str(value), shared)
        else:
            found[name] = _expanded(path, value, shared)
    return found


def _layout(path: str, name: str, shared: Shared) -> dict[str, JSON]:
    layout = shared.layouts.get(name)
    if layout is None:
        raise TemplateSourceError(path, f"there is no layout {name!r}", 1)
    return {
        kind: _text(path, str(text), shared, origin=f"layouts.{name}.{kind}")
        for kind, text in layout.content.items()
    }


def _expanded(path: str, value: JSON, shared: Shared) -> JSON:
    """A payload of JSON holds texts inside."""
    if isinstance(value, str):
        return _text(path, value, shared)
    if isinstance(value, dict):
        return {name: _expanded(path, one, shared) for name, one in value.items()}
    if isinstance(value, list):
        return [_expanded(path, one, shared) for one in value]
    return value


def _text(
    path: str, text: str, shared: Shared, depth: int = 0, *, origin: str | None = None
) -> str:
    """origin: the layout or partial that it is the text of."""
    size = len(text)

    def put(found: re.Match[str]) -> str:
        nonlocal size
        name = found[1] or found[2]
        partial = shared.partials.get(name)
        where = place(text, found.start())
        if partial is None:
            raise TemplateSourceError(path, f"there is no partial {name!r}", *where, origin=origin)
        if depth == _DEEPEST:
            said = f"more than {_DEEPEST} partials deep"
            raise TemplateSourceError(path, said, *where, origin=origin)
        within = f"partials.{name}.text"
        inner = _text(path, str(partial.content["text"]), shared, depth + 1, origin=within)
        # As it grows: thousands of partials in each other would be gigabytes before the whole could be measured.
        size += len(inner)
        if size > _LARGEST:
            said = f"over {_LARGEST} characters with its partials"
            raise TemplateSourceError(path, said, *where, origin=origin)
        return inner

    return _put(_tags(_INCLUDE, text), text, put)


def _texts(edition: Edition) -> Iterator[tuple[str, str]]:
    for content in (edition.content, *edition.locales.values()):
        for channel, source in content.items():
            yield from _inside(str(channel), source)


def _inside(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _inside(f"{path}.{name}", one)
    elif isinstance(value, list):
        for one in value:
            yield from _inside(path, one)
