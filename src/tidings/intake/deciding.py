"""What becomes of requests: read what is known, for all of a batch at once, and draft. Nothing is stored."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from tidings.domain.categories import Categories, Category, category_of
from tidings.domain.channels import Channel
from tidings.domain.send_times import SendTimes
from tidings.domain.suppressions import Block, blocked
from tidings.domain.templates import TemplateVersion
from tidings.intake.copying import copies_of
from tidings.intake.drafting import Addresses, Draft, Reach, Submission, addresses_of, draft
from tidings.intake.refusals import Refusal
from tidings.intake.request import EmailOptions
from tidings.store import people, suppressions
from tidings.store.categories import CategoryCache
from tidings.store.database import Connection, Pool
from tidings.store.keyring import KeyRing
from tidings.store.people import NOBODY, Person
from tidings.store.templates import TemplateCache

Blocks = Mapping[tuple[Channel, str], Sequence[Block]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the caches know for a batch. templates: None for an id that there is not."""

    templates: Mapping[str, TemplateVersion | None]
    categories: Categories

    def template(self, submission: Submission) -> TemplateVersion | None:
        return submission.pinned or self.templates[submission.request.template_id]

    def category(self, submission: Submission) -> Category:
        template = self.template(submission)
        return category_of(self.categories, template.category if template else "")


class Decider:
    """zone: of recipients whose own is not known."""

    def __init__(
        self,
        *,
        pool: Pool,
        keyring: KeyRing,
        templates: TemplateCache,
        categories: CategoryCache,
        reach: Reach,
        zone: ZoneInfo,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._templates = templates
        self._categories = categories
        self._reach = reach
        self._times = SendTimes(zone)
        self._new_id = new_id
        self._now = now

    async def known(self, batch: Sequence[Submission]) -> Known:
        """Read before a connection is borrowed for the batch: what is not in the caches takes one of its own."""
        return Known(
            {
                template_id: await self._templates.find(template_id)
                for template_id in {submission.request.template_id for submission in batch}
            },
            await self._categories.get(self._pool),
        )

    async def draft(
        self, connection: Connection, batch: Sequence[Submission], known: Known
    ) -> list[Draft | Refusal]:
        persons = await self._people(connection, batch)
        reached = [
            addresses_of(one.request.recipient, person, self._reach)
            for one, person in zip(batch, persons, strict=True)
        ]
        categories = {known.category(submission).id for submission in batch}
        # A copy is kept from an address as a message is.
        written = [
            _with_copies(addresses, one.request.email) if one.request.email else addresses
            for one, addresses in zip(batch, reached, strict=True)
        ]
        blocks = await self._blocks(connection, written, categories)
        now = self._now()
        return [
            draft(
                submission,
                known.template(submission),
                person,
                addresses,
                category=(category := known.category(submission)),
                suppressed=_kept_away(blocks, everybody, category),
                reach=self._reach,
                times=self._times,
                now=now,
                new_id=self._new_id,
            )
            for submission, person, addresses, everybody in zip(
                batch, persons, reached, written, strict=True
            )
        ]

    async def _people(
        self, connection: Connection, batch: Sequence[Submission]
    ) -> Sequence[Person]:
        user_ids = [one.request.recipient.user_id for one in batch]
        wanted = sorted({user_id for user_id in user_ids if user_id})
        if not wanted:
            return [NOBODY] * len(batch)
        found = await people.fetch_many(connection, wanted, self._keyring)
        return [found.get(user_id or "", NOBODY) for user_id in user_ids]

    async def _blocks(
        self, connection: Connection, reached: Sequence[Addresses], categories: Collection[str]
    ) -> Blocks:
        # By address, not by hash: spellings that differ in case have one hash and are all suppressed.
        hashes = {
            (channel, address): (channel, self._keyring.address_hash(channel, address))
            for addresses in reached
            for channel, listed in addresses.items()
            for address in listed
        }
        if not hashes:
            return {}
        found = await suppressions.blocks_among(connection, set(hashes.values()), categories)
        if not found:
            return {}
        return {pair: found[digest] for pair, digest in hashes.items() if digest in found}


def _with_copies(addresses: Addresses, options: EmailOptions) -> Addresses:
    return {
        **addresses,
        Channel.EMAIL: (*addresses.get(Channel.EMAIL, ()), *copies_of(options)),
    }


def _kept_away(
    blocks: Blocks, addresses: Addresses, category: Category
) -> Collection[tuple[Channel, str]]:
    if not blocks:
        return ()
    return [
        pair
        for channel, listed in addresses.items()
        for address in listed
        if (found := blocks.get(pair := (channel, address)))
        and blocked(found, category.id, mandatory=category.mandatory)
    ]
