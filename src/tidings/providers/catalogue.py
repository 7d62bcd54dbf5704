"""Every provider there is: one line each, and those that other installed packages bring."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias, TypeVar

from tidings.domain.callbacks import Callbacks
from tidings.domain.provider import Account, Manifest, Provider
from tidings.providers.apns.manifest import MANIFEST as APNS
from tidings.providers.apns.send import apns_provider
from tidings.providers.apprise.manifest import MANIFEST as APPRISE
from tidings.providers.callbacks import CALLBACKS, CallbackFactory, CallbackPorts
from tidings.providers.discord.manifest import MANIFEST as DISCORD
from tidings.providers.discord.send import DiscordApi
from tidings.providers.fcm.manifest import MANIFEST as FCM
from tidings.providers.fcm.send import FcmProvider
from tidings.providers.http import Http
from tidings.providers.inapp.manifest import MANIFEST as INAPP
from tidings.providers.inapp.send import inapp_provider
from tidings.providers.mailgun.manifest import MANIFEST as MAILGUN
from tidings.providers.mailgun.send import MailgunApi
from tidings.providers.outbox.manifest import MANIFEST as OUTBOX
from tidings.providers.outbox.send import StoreOutbox, outbox_provider
from tidings.providers.postmark.manifest import MANIFEST as POSTMARK
from tidings.providers.postmark.send import PostmarkApi
from tidings.providers.resend.manifest import MANIFEST as RESEND
from tidings.providers.resend.send import ResendApi
from tidings.providers.sendgrid.manifest import MANIFEST as SENDGRID
from tidings.providers.sendgrid.send import SendGridApi
from tidings.providers.ses.manifest import MANIFEST as SES
from tidings.providers.slack.manifest import MANIFEST as SLACK
from tidings.providers.slack.send import SlackApi
from tidings.providers.smtp.manifest import MANIFEST as SMTP
from tidings.providers.smtp.send import SmtpProvider
from tidings.providers.sns.manifest import MANIFEST as SNS
from tidings.providers.storing import Store
from tidings.providers.teams.manifest import MANIFEST as TEAMS
from tidings.providers.teams.send import teams_provider
from tidings.providers.telegram.manifest import MANIFEST as TELEGRAM
from tidings.providers.telegram.send import TelegramApi
from tidings.providers.twilio.manifest import MANIFEST as TWILIO
from tidings.providers.twilio.send import TwilioApi
from tidings.providers.vendor import CA_FILE, Api, VendorProvider, read_authorities
from tidings.providers.vonage.manifest import MANIFEST as VONAGE
from tidings.providers.vonage.send import VonageApi
from tidings.providers.webhook.manifest import MANIFEST as WEBHOOK
from tidings.providers.webhook.send import WebhookProvider
from tidings.providers.webpush.manifest import MANIFEST as WEBPUSH
from tidings.providers.webpush.send import webpush_provider
from tidings.settings import SettingsError

Prepared = TypeVar("Prepared")

GROUP = "tidings.providers"
"""The group of entry points by which packages bring providers. Each names a Listing, with a CallbackFactory as its
third where the provider calls back."""


def _trusts_no_more(_: Sequence[bytes]) -> Http:
    raise SettingsError("ca_file: not for this HTTP client, which is not Tidings' own")


@dataclass(frozen=True, slots=True)
class Ports:
    """What providers may need of the rest of Tidings; made by the composition root.

    http: for vendors' servers, as configured. guarded: for addresses that recipients choose.
    clock: seconds since the epoch. trusting: the like of `http` that also trusts these certificates (PEM).
    """

    http: Http
    guarded: Http
    store_in_app: Store
    store_outbox: StoreOutbox
    clock: Callable[[], float] = time.time
    trusting: Callable[[Sequence[bytes]], Http] = _trusts_no_more


Factory: TypeAlias = Callable[[Account, Ports], Provider]
Listing: TypeAlias = tuple[Manifest, Factory]


def _vendor(make: Callable[[Account], Api[Prepared]]) -> Factory:
    """A vendor that is reached over the shared HTTP client."""
    return lambda account, ports: VendorProvider(account, make(account), ports.http, ports.clock)


def _aws(function: str) -> Factory:
    """Needs botocore."""

    def make(account: Account, ports: Ports) -> Provider:
        made: Provider = _of_extra("aws", function, account)(account, ports.http, ports.clock)
        return made

    return make


def _apprise(account: Account, _: Ports) -> Provider:
    made: Provider = _of_extra("chat", "apprise.send:AppriseProvider", account)(account)
    return made


def _of_extra(extra: str, function: str, account: Account) -> Callable[..., Any]:
    """What is loaded with its first account, as the package that it needs is an extra. Raises SettingsError."""
    entry = EntryPoint(account.provider, f"tidings.providers.{function}", GROUP)
    try:
        loaded: Callable[..., Any] = entry.load()
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"accounts.{account.name}.provider: {account.provider} needs the package {error.name}; "
            f"install it with: pip install 'tidings[{extra}]'"
        ) from None
    return loaded


CATALOGUE: Mapping[str, Listing] = {
    "apns": (APNS, lambda account, ports: apns_provider(account, ports.http, ports.clock)),
    "apprise": (APPRISE, _apprise),
    "discord": (DISCORD, _vendor(DiscordApi)),
    "fcm": (FCM, lambda account, ports: FcmProvider(account, ports.http, ports.clock)),
    "inapp": (INAPP, lambda account, ports: inapp_provider(account, ports.store_in_app)),
    "mailgun": (MAILGUN, _vendor(MailgunApi)),
    "outbox": (OUTBOX, lambda account, ports: outbox_provider(account, ports.store_outbox)),
    "postmark": (POSTMARK, _vendor(PostmarkApi)),
    "resend": (RESEND, _vendor(ResendApi)),
    "sendgrid": (SENDGRID, _vendor(SendGridApi)),
    "ses": (SES, _aws("ses.send:ses_provider")),
    "slack": (SLACK, _vendor(SlackApi)),
    "smtp": (SMTP, lambda account, ports: SmtpProvider(account)),
    "sns": (SNS, _aws("sns.send:sns_provider")),
    "teams": (TEAMS, lambda account, ports: teams_provider(account, ports.http, ports.clock)),
    "telegram": (TELEGRAM, _vendor(TelegramApi)),
    "twilio": (TWILIO, _vendor(TwilioApi)),
    "vonage": (VONAGE, _vendor(VonageApi)),
    "webhook": (
        WEBHOOK,
        lambda account, ports: WebhookProvider(account, ports.guarded, ports.clock),
    ),
    "webpush": (
        WEBPUSH,
        lambda account, ports: webpush_provider(account, ports.guarded, ports.clock),
    ),
}

MANIFESTS: Mapping[str, Manifest] = {name: manifest for name, (manifest, _) in CATALOGUE.items()}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The providers that accounts can be of; by default those that come with Tidings."""

    listings: Mapping[str, Listing] = field(default_factory=lambda: CATALOGUE)
    callbacks: Mapping[str, CallbackFactory] = field(default_factory=lambda: CALLBACKS)

    @property
    def manifests(self) -> Mapping[str, Manifest]:
        return {name: manifest for name, (manifest, _) in self.listings.items()}

    def provider_of(self, account: Account, ports: Ports) -> Provider:
        """The provider of a validated account. Raises SettingsError for values that cannot work
        together."""
        manifest, factory = self.listings[account.provider]
        if CA_FILE in manifest.fields and account.text(CA_FILE.name):
            ports = replace(ports, http=ports.trusting(read_authorities(account)))
        return factory(account, ports)

    def callbacks_of(self, account: Account, ports: CallbackPorts) -> Callbacks | None:
        """What reads the callbacks of a validated account; None where its provider makes none. Raises
        SettingsError for values that cannot be used."""
        factory = self.callbacks.get(account.provider)
        return None if factory is None else factory(account, ports)


def read_catalogue() -> Catalogue:
    """With the providers of other installed packages. Raises SettingsError where one cannot be used."""
    listings, callbacks = dict(CATALOGUE), dict(CALLBACKS)
    for entry in entry_points(group=GROUP):
        manifest, factory, reader = _load(entry)
        if manifest.name in listings:
            raise SettingsError(f"{_named(entry)}: there is a provider {manifest.name} already")
        listings[manifest.name] = manifest, factory
        if reader is not None:
            callbacks[manifest.name] = reader
    return Catalogue(listings, callbacks)


def provider_of(account: Account, ports: Ports) -> Provider:
    """Of those that come with Tidings."""
    return Catalogue().provider_of(account, ports)


def _load(entry: EntryPoint) -> tuple[Manifest, Factory, CallbackFactory | None]:
    try:
        found = entry.load()
    except Exception as error:  # a package's code can raise anything while it is imported
        raise SettingsError(f"{_named(entry)}: it cannot be loaded ({error!r})") from error
    match found:
        case (Manifest() as manifest, factory) if callable(factory):
            return manifest, factory, None
        case (Manifest() as manifest, factory, reader) if callable(factory) and callable(reader):
            return manifest, factory, reader
    raise SettingsError(
        f"{_named(entry)}: {entry.value} is not a pair of manifest and factory, nor these and what reads callbacks"
    )


def _named(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"the provider {entry.name!r} of {package}"
