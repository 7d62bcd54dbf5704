"""What follows from receipts by itself: addresses that do not work, or whose owners do not want it, are left alone."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

from tidings.domain.channels import Channel
from tidings.domain.reasons import Reason
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.domain.suppressions import SuppressionReason
from tidings.settings import ReceiptSettings
from tidings.store import soft_bounces, suppressions
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing
from tidings.store.receipts import Known, Stored
from tidings.store.soft_bounces import Key
from tidings.store.suppressions import NewSuppression

_STOP = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "arret", "optout", "revoke"}
)
"""Words by which people end text messages, as carriers and vendors have them; alone in a message."""
_START = frozenset({"start", "unstop", "yes"})

Unsubscribe = Callable[[Connection, Known], Awaitable[None]]
"""Turns off what the delivery was of, for its recipient."""


class Actions:
    """unsubscribe: as the link in a message does."""

    def __init__(
        self, keyring: KeyRing, settings: ReceiptSettings, unsubscribe: Unsubscribe
    ) -> None:
        self._keyring = keyring
        self._settings = settings
        self._unsubscribe = unsubscribe

    async def __call__(self, connection: Connection, stored: Stored) -> None:
        """Within the transaction that stores the receipts."""
        fresh = list(self._suppressed(stored.known))
        fresh += await self._worn_out(connection, stored.known)
        if fresh:
            await suppressions.add(connection, fresh, self._keyring, replace=False)
        for one in stored.known:
            if _has(one, ReceiptType.UNSUBSCRIBED) and one.address:
                await self._unsubscribe(connection, one)
        said = [each for one in stored.known for each in one.fresh]
        await self._words(connection, [*said, *(one for _, one in stored.stray)])

    def _suppressed(self, known: Sequence[Known]) -> Iterable[NewSuppression]:
        for one in known:
            if not one.address:
                continue
            if _has(one, ReceiptType.COMPLAINED):
                yield NewSuppression(
                    one.channel, one.address, SuppressionReason.COMPLAINED, detail="complained"
                )
            elif _bounced(one, Bounce.HARD):
                yield NewSuppression(
                    one.channel,
                    one.address,
                    SuppressionReason.BOUNCED,
                    detail=Reason.BOUNCED_HARD,
                )

    async def _worn_out(
        self, connection: Connection, known: Sequence[Known]
    ) -> list[NewSuppression]:
        """Those that bounced softly as often in a row as the settings bear."""
        addresses = {self._key(one): one for one in known if one.address}
        worked, bounced = _runs(
            (key, one) for one in known if one.address and (key := self._key(one))
        )
        if worked:
            await soft_bounces.forget(connection, worked)
        if not bounced:
            return []
        within = timedelta(seconds=self._settings.soft_bounces_within)
        counts = await soft_bounces.count(connection, bounced, within)
        now = await soft_bounces.clock(connection)
        rest = timedelta(seconds=self._settings.soft_bounce_rest)
        return [
            NewSuppression(
                addresses[key].channel,
                addresses[key].address,
                SuppressionReason.BOUNCED,
                expires_at=now + rest,
                detail=Reason.BOUNCED_SOFT,
            )
            for key, count in counts.items()
            if count >= self._settings.soft_bounces
        ]

    def _key(self, one: Known) -> tuple[Channel, bytes]:
        return one.channel, self._keyring.address_hash(one.channel, one.address)

    async def _words(self, connection: Connection, receipts: Iterable[Receipt]) -> None:
        """STOP and START, as people answer to text messages. Of several from one number the last counts; what else
        they write, HELP among it, changes nothing."""
        last: dict[str, str] = {}
        for one in sorted(receipts, key=lambda receipt: receipt.at):
            if one.type is not ReceiptType.INBOUND or not one.text:
                continue
            if one.address is None or not one.address.startswith("+"):
                continue  # an email
            word = one.text.strip().strip(".!").lower()
            if word in _STOP | _START:
                last[one.address] = word
        stopped = [
            NewSuppression(Channel.SMS, address, SuppressionReason.UNSUBSCRIBED, detail="stop")
            for address, word in last.items()
            if word in _STOP
        ]
        if stopped:
            await suppressions.add(connection, stopped, self._keyring, replace=False)
        if started := [address for address, word in last.items() if word in _START]:
            await suppressions.lift(
                connection,
                Channel.SMS,
                [self._keyring.address_hash(Channel.SMS, address) for address in started],
                SuppressionReason.UNSUBSCRIBED,
                category="",
            )


def _runs(known: Iterable[tuple[Key, Known]]) -> tuple[list[Key], dict[Key, int]]:
    """The addresses at which something arrived, and how many messages bounced softly at each since: in the order in which it
    happened, and each message once, however often it is told."""
    moments: dict[Key, list[tuple[datetime, bool]]] = {}
    for key, one in known:
        for arrived, receipts in ((True, _delivered(one)), (False, _soft(one))):
            if receipts:
                last = max(receipt.at for receipt in receipts)
                moments.setdefault(key, []).append((last, arrived))
    worked, bounced = list[Key](), dict[Key, int]()
    for key, found in moments.items():
        run = 0
        for _, arrived in sorted(found):
            run = 0 if arrived else run + 1
        if any(arrived for _, arrived in found):
            worked.append(key)
        if run:
            bounced[key] = run
    return worked, bounced


def _delivered(one: Known) -> list[Receipt]:
    return [receipt for receipt in one.fresh if receipt.type is ReceiptType.DELIVERED]


def _soft(one: Known) -> list[Receipt]:
    return [
        receipt
        for receipt in one.fresh
        if receipt.type is ReceiptType.BOUNCED and receipt.bounce is Bounce.SOFT
    ]


def _has(one: Known, kind: ReceiptType) -> bool:
    return any(receipt.type is kind for receipt in one.fresh)


def _bounced(one: Known, bounce: Bounce) -> bool:
    return any(
        receipt.type is ReceiptType.BOUNCED and (receipt.bounce or Bounce.HARD) is bounce
        for receipt in one.fresh
    )
