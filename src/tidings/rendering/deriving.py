"""The data that a template uses, read from its source, as a JSON Schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidings.domain.contracts import Contract, Mismatch
from tidings.domain.messages import JSON
from tidings.domain.shared import BRAND
from tidings.domain.templates import Edition
from tidings.rendering.assembling import assembled, filled
from tidings.rendering.engine import TemplateSourceError
from tidings.rendering.engines import ENGINES
from tidings.rendering.uses import Use


def derived(edition: Edition) -> dict[str, JSON]:
    """Of all its channels and languages. Sources that do not parse add nothing."""
    root = _used(edition)
    root.members.pop(BRAND, None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        **root.object(),
    }


def missing_of_brand(edition: Edition) -> Sequence[Mismatch]:
    """What it uses of the brand, and what the brand that it is stored with does not have; paths as data.name."""
    use = _used(edition).members.get(BRAND)
    if use is None or (edition.sample is not None and BRAND in edition.sample):
        return ()
    brand = {} if edition.shared.brand is None else edition.shared.brand.content
    return Contract({"type": "object", **use.object()}).mismatches(brand)


def _used(edition: Edition) -> Use:
    root, read = Use(), ENGINES[edition.engine].read
    whole = _assembled(edition)
    for content in (whole.content, *whole.locales.values()):
        for source in _sources(content):
            read(source, root)
    return root


def _assembled(edition: Edition) -> Edition:
    try:
        return assembled(edition)
    except TemplateSourceError:
        return edition


def _sources(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            layout = name == "layout" and isinstance(one, Mapping)
            yield from (filled(text, "") if layout else text for text in _sources(one))
    elif isinstance(value, list):
        for one in value:
            yield from _sources(one)
