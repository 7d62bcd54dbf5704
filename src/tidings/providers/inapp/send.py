"""Put messages into feeds."""

from tidings.domain.provider import Account
from tidings.providers.storing import Store, StoringProvider


def inapp_provider(account: Account, store_in_app: Store) -> StoringProvider:
    """store_in_app: adds entries; one that is there stays as it is."""
    return StoringProvider(account, store_in_app)
