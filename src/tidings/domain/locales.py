"""Language tags (BCP 47), and which of a template's languages a recipient reads."""

import re
from collections.abc import Collection, Iterator

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Za-z]{2}|[0-9]{3}))?")


def canonical(tag: str) -> str:
    """language, Script and REGION, as de-AT or zh-Hant-TW. Raises ValueError for what is no such tag."""
    if not _TAG.fullmatch(tag):
        raise ValueError("must be a language tag such as de, de-AT or zh-Hant")
    language, *rest = re.split("[-_]", tag)
    return "-".join([language.lower(), *(_subtag(one) for one in rest)])


def _subtag(one: str) -> str:
    return one.title() if len(one) == 4 else one.upper()


def fallbacks(tag: str | None) -> Iterator[str]:
    """The tag and what is more general, in the order in which content is looked for: de-AT, de."""
    parts = re.split("[-_]", tag) if tag else []
    while parts:
        language, *rest = parts
        yield "-".join([language.lower(), *(_subtag(one) for one in rest)])
        parts.pop()


def chosen(tag: str | None, there: Collection[str]) -> str | None:
    """Which of the languages that are there (canonical tags) is for a reader of this one; None for the
    default content."""
    return next((one for one in fallbacks(tag) if one in there), None)
