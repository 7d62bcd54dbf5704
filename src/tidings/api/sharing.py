"""What an edition uses of layouts, partials and brand, in their newest versions."""

from collections.abc import Sequence
from dataclasses import replace

from tidings.domain.shared import BRAND, SharedKind, SharedVersion, shared_of
from tidings.domain.templates import Edition
from tidings.rendering.assembling import included, names_brand, used
from tidings.store import shared
from tidings.store.database import Pool

Wanted = tuple[SharedKind, str]


async def with_shared(pool: Pool, edition: Edition, given: Sequence[SharedVersion] = ()) -> Edition:
    """The edition with all that it uses, and with what that uses in turn. given: in place of the newest. What there is
    not is left out; to compile the edition tells where it is missing."""
    instead = {(one.kind, one.id): one for one in given}
    layouts, partials, brand = used(edition)
    wanted: set[Wanted] = {("layout", name) for name in layouts}
    wanted |= {("partial", name) for name in partials}
    if brand:
        wanted.add(("brand", BRAND))
    found: dict[Wanted, SharedVersion] = {}
    asked: set[Wanted] = set()
    while missing := wanted - asked:
        asked |= missing
        there = [instead[one] for one in missing if one in instead]
        for one in [*there, *await shared.find_many(pool, missing - instead.keys())]:
            found[one.kind, one.id] = one
            wanted |= _named_by(one)
    return replace(edition, shared=shared_of(one for _, one in sorted(found.items())))


def _named_by(one: SharedVersion) -> set[Wanted]:
    if one.kind == "brand":
        return set()
    texts = [str(text) for text in one.content.values()]
    wanted: set[Wanted] = {("partial", name) for text in texts for name in included(text)}
    return wanted | ({("brand", BRAND)} if any(map(names_brand, texts)) else set())
