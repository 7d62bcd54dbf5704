"""A provider as another package would bring it, for tests of the catalogue."""

from collections.abc import Sequence
from dataclasses import replace

from tidings.domain.callbacks import RawCallback, Refused, UnreadableCallback, Verified
from tidings.domain.channels import Channel
from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome
from tidings.domain.provider import Account, Manifest
from tidings.domain.receipts import Receipt
from tidings.providers.callbacks import CallbackPorts
from tidings.providers.catalogue import Ports

MANIFEST = Manifest(name="carrier_pigeon", title="Carrier pigeon", channels=(Channel.CHAT,))


class PigeonProvider:
    def __init__(self, account: Account) -> None:
        self.account = account

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [Accepted()] * len(messages)

    async def close(self) -> None:
        """Nothing is open."""

    async def check(self) -> str:
        return "The pigeon is awake."


def pigeon(account: Account, ports: Ports) -> PigeonProvider:
    return PigeonProvider(account)


class PigeonCallbacks:
    async def verify(self, raw: RawCallback) -> Verified | Refused:
        return Verified()

    def receipts(self, raw: RawCallback) -> Sequence[Receipt]:
        raise UnreadableCallback("pigeons tell nothing")


def calling(account: Account, ports: CallbackPorts) -> PigeonCallbacks:
    return PigeonCallbacks()


LISTING = MANIFEST, pigeon
CALLING = MANIFEST, pigeon, calling
TAKEN = replace(MANIFEST, name="smtp"), pigeon
