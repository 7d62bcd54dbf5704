"""Which language a page is in."""

from collections.abc import Iterator

from tidings.domain.locales import chosen
from tidings.web.texts import ENGLISH, LANGUAGES, Texts

_MOST = 20


def texts_for(locale: str | None, accepted: str) -> Texts:
    """The user's own language; else what the browser asks for (Accept-Language); else English."""
    for tag in (locale, *_by_preference(accepted)):
        language = chosen(tag, LANGUAGES)
        if language is not None:
            return LANGUAGES[language]
    return ENGLISH


def _by_preference(header: str) -> Iterator[str]:
    """The tags of an Accept-Language field (RFC 9110, 12.5.4), without those that have no weight."""
    weighted = []
    for entry in header.split(",")[:_MOST]:
        tag, _, parameter = entry.strip().partition(";")
        if (weight := _weight(parameter)) > 0:
            weighted.append((weight, tag.strip()))
    yield from (tag for _, tag in sorted(weighted, key=lambda one: -one[0]))


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
