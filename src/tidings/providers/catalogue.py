"""Every provider there is: one line each."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidings.domain.provider import Account, Manifest, Provider
from tidings.providers.http import Http
from tidings.providers.inapp.manifest import MANIFEST as INAPP
from tidings.providers.inapp.send import inapp_provider
from tidings.providers.outbox.manifest import MANIFEST as OUTBOX
from tidings.providers.outbox.send import StoreOutbox, outbox_provider
from tidings.providers.smtp.manifest import MANIFEST as SMTP
from tidings.providers.smtp.send import SmtpProvider
from tidings.providers.storing import Store
from tidings.providers.webhook.manifest import MANIFEST as WEBHOOK
from tidings.providers.webhook.send import WebhookProvider


@dataclass(frozen=True, slots=True)
class Ports:
    """What providers may need of the rest of Tidings; made by the composition root.

    http: for vendors' servers, as configured. guarded: for addresses that recipients choose.
    clock: seconds since the epoch.
    """

    http: Http
    guarded: Http
    store_in_app: Store
    store_outbox: StoreOutbox
    clock: Callable[[], float] = time.time


Factory = Callable[[Account, Ports], Provider]

CATALOGUE: Mapping[str, tuple[Manifest, Factory]] = {
    "inapp": (INAPP, lambda account, ports: inapp_provider(account, ports.store_in_app)),
    "outbox": (OUTBOX, lambda account, ports: outbox_provider(account, ports.store_outbox)),
    "smtp": (SMTP, lambda account, ports: SmtpProvider(account)),
    "webhook": (
        WEBHOOK,
        lambda account, ports: WebhookProvider(account, ports.guarded, ports.clock),
    ),
}

MANIFESTS: Mapping[str, Manifest] = {name: manifest for name, (manifest, _) in CATALOGUE.items()}


def provider_of(account: Account, ports: Ports) -> Provider:
    """The provider of a validated account. Raises SettingsError for values that cannot work together."""
    _, factory = CATALOGUE[account.provider]
    return factory(account, ports)
