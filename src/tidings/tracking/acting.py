"""What follows from receipts by itself: addresses that do not work, or whose owners do not want it, are left alone."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

from tidings.domain.channels import Channel
from tidings.domain.reasons import Reason
from tidings.domain.receipts import Bounce, Receipt, ReceiptType
from tidings.domain.suppressions import SuppressionReason
from tidings.settings import ReceiptSettings
from tidings.store import soft_bounces, suppressions
from tidings.store.database import Connection
from tidings.store.keyring import KeyRing
from tidings.store.receipts import Known, Stored
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
        await self._words(connection, [one for _, one in stored.stray])
        await self._words(connection, [each for one in stored.known for each in one.fresh])

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
        soft = {self._key(one): one for one in known if one.address and _bounced(one, Bounce.SOFT)}
        worked = [
            self._key(one) for one in known if one.address and _has(one, ReceiptType.DELIVERED)
        ]
        if worked:
            await soft_bounces.forget(connection, worked)
        if not soft:
            return []
        within = timedelta(seconds=self._settings.soft_bounces_within)
        counts = await soft_bounces.count(connection, list(soft), within)
        now = await soft_bounces.clock(connection)
        rest = timedelta(seconds=self._settings.soft_bounce_rest)
        return [
            NewSuppression(
                soft[key].channel,
                soft[key].address,
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
        """STOP and START, as people answer to text messages."""
        for one in receipts:
            if one.type is not ReceiptType.INBOUND or not one.text:
                continue
            if one.address is None or not one.address.startswith("+"):
                continue  # an email
            word = one.text.strip().strip(".!").lower()
            if word in _STOP:
                stop = NewSuppression(
                    Channel.SMS, one.address, SuppressionReason.UNSUBSCRIBED, detail="stop"
                )
                await suppressions.add(connection, [stop], self._keyring, replace=False)
            elif word in _START:
                await suppressions.lift(
                    connection,
                    Channel.SMS,
                    [self._keyring.address_hash(Channel.SMS, one.address)],
                    SuppressionReason.UNSUBSCRIBED,
                    category="",
                )


def _has(one: Known, kind: ReceiptType) -> bool:
    return any(receipt.type is kind for receipt in one.fresh)


def _bounced(one: Known, bounce: Bounce) -> bool:
    return any(
        receipt.type is ReceiptType.BOUNCED and (receipt.bounce or Bounce.HARD) is bounce
        for receipt in one.fresh
    )
