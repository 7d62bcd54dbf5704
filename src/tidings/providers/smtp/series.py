"""Messages that go over one connection, one behind the other."""

from collections.abc import Callable, Sequence

from tidings.domain.outcomes import Outcome
from tidings.providers.smtp.connections import Connections
from tidings.providers.smtp.session import Session
from tidings.providers.smtp.transaction import StaleSession, Transaction
from tidings.providers.smtp.verdicts import Stage


class Series:
    """outcomes: of each transaction that has one; end() gives one to the rest."""

    def __init__(self, connections: Connections) -> None:
        self.outcomes: dict[Transaction, Outcome] = {}
        self._connections = connections
        self._transactions: Sequence[Transaction] = ()

    async def run(self, transactions: Sequence[Transaction]) -> None:
        """Over a kept connection, or a new one; one that broke is replaced for what comes after.

        Raises NotConnected. What is then without an outcome was not sent.
        """
        self._transactions = transactions
        if not transactions:
            return
        await self._connections.acquire()
        session = None
        try:
            for transaction, follower in zip(transactions, (*transactions[1:], None), strict=True):
                session = await self._session(session, transaction)
                session = await self._deliver(session, transaction, follower)
        finally:
            if session is not None:
                self._connections.give_back(session)
            self._connections.release()

    def end(self, outcome: Callable[[Transaction], Outcome]) -> None:
        """The time is over, or there is no connection: what each that has no outcome gets."""
        for transaction in self._transactions:
            if transaction not in self.outcomes:
                self.outcomes[transaction] = outcome(transaction)

    async def _session(self, session: Session | None, transaction: Transaction) -> Session:
        """The one in use while it takes this message, else another."""
        if session is not None and session.takes(transaction):
            return session
        if session is not None:
            self._connections.give_back(session)
        transaction.stage = Stage.CONNECT
        return await self._connections.take()

    async def _deliver(
        self, session: Session, transaction: Transaction, follower: Transaction | None
    ) -> Session:
        """Send one, over a fresh connection where the one in use is found dead; the session then used."""
        try:
            outcome = await transaction.run(session, follower)
        except StaleSession:
            transaction.stage = Stage.CONNECT
            session = await self._connections.replace(session)
            outcome = await transaction.run(session, follower)
        self.outcomes[transaction] = outcome
        return session
