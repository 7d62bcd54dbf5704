"""From settings to accounts: checked against their providers' manifests, and shown without secrets."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from tidings.domain.channels import Channel
from tidings.domain.provider import Account, FieldValue, Manifest
from tidings.domain.senders import ascii_domain, domain_of
from tidings.providers.fields import WrongValueError, read_value
from tidings.settings import AccountSettings, Settings, SettingsError

OUTBOX = "outbox"
INBOX = "inbox"
HIDDEN = "***"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def build_accounts(settings: Settings, manifests: Mapping[str, Manifest]) -> list[Account]:
    """All accounts in the order of the settings, then the defaults.

    In development, channels that no account serves go to the outbox; the in-app feed, which needs no
    credentials, is always there. A configured account of the default's name takes its place. Raises
    SettingsError with all that is wrong, one line each.
    """
    problems: list[str] = []
    accounts: list[Account] = []
    for name, declared in settings.accounts.items():
        account, wrong = _build(name, declared, manifests)
        problems += wrong
        if account is not None:
            accounts.append(account)
    if problems:
        raise SettingsError("\n".join(problems))
    return accounts + _defaults(accounts, settings, manifests)


def describe(account: Account, manifest: Manifest) -> dict[str, object]:
    """An account as it may be shown: what is secret, and given, is "***"."""
    secret = {field.name for field in manifest.fields if field.secret}
    return {
        "name": account.name,
        "provider": account.provider,
        "channels": [channel.value for channel in account.channels],
        "confirms_delivery": account.confirms_delivery,
        "timeout": account.timeout,
    } | {
        name: HIDDEN if name in secret and value not in (None, "", ()) else _shown(value)
        for name, value in account.values.items()
    }


def _shown(value: FieldValue) -> object:
    return list(value) if isinstance(value, tuple) else value


def _build(
    name: str, declared: AccountSettings, manifests: Mapping[str, Manifest]
) -> tuple[Account | None, list[str]]:
    """The account, and what is wrong with it: one of the two."""
    where = f"accounts.{name}"
    problems: list[str] = []
    if not _NAME.fullmatch(name):
        problems.append(
            f"{where}: the name of an account is lower-case letters, digits, - and _, at most 63"
        )
    manifest = manifests.get(declared.provider)
    if manifest is None:
        problems.append(
            f"{where}.provider: got {declared.provider!r}; "
            + _nearest(declared.provider, manifests, "allowed")
        )
        return None, problems
    values, wrong = _values(where, declared.values, manifest)
    channels, misfits = _channels(where, declared.channels, manifest)
    problems += wrong + misfits
    if problems:
        return None, problems
    confirms = declared.confirms_delivery
    account = Account(
        name=name,
        provider=manifest.name,
        channels=channels,
        confirms_delivery=manifest.confirms_delivery if confirms is None else confirms,
        timeout=declared.timeout,
        values=values,
        order=declared.order,
        weight=declared.weight,
        categories=declared.categories,
        countries=declared.countries,
        sender_domains=tuple(map(ascii_domain, declared.sender_domains)),
        sender_domain=_sender_domain(channels, values.get("from")),
        services=manifest.services,
        features=manifest.features,
    )
    return account, []


def _sender_domain(channels: Sequence[Channel], sender: object) -> str:
    return domain_of(sender) if Channel.EMAIL in channels and isinstance(sender, str) else ""


def _values(
    where: str, given: Mapping[str, object], manifest: Manifest
) -> tuple[dict[str, FieldValue], list[str]]:
    known = [field.name for field in manifest.fields]
    # The value of an unknown name is not shown: it may be a secret with a mistyped name.
    problems = [
        f"{where}.{name} is not a setting of {manifest.name}; " + _nearest(name, known, "it has")
        for name in given
        if name not in known
    ]
    values: dict[str, FieldValue] = {}
    for field in manifest.fields:
        try:
            values[field.name] = read_value(field, given.get(field.name))
        except WrongValueError as error:
            problems.append(f"{where}.{field.name}{error}")
    return values, problems


def _channels(
    where: str, given: Sequence[str] | None, manifest: Manifest
) -> tuple[tuple[Channel, ...], list[str]]:
    if given is None:
        return manifest.channels, []
    allowed = ", ".join(manifest.channels)
    problems = [
        f"{where}.channels: got {name!r}; allowed with {manifest.name}: {allowed}"
        for name in given
        if name not in manifest.channels
    ]
    if not given:
        problems.append(f"{where}.channels: got none; allowed with {manifest.name}: {allowed}")
    return tuple(dict.fromkeys(c for c in manifest.channels if c in given)), problems


def _nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"{otherwise}: {', '.join(names) or 'none'}"


def _defaults(
    accounts: Sequence[Account], settings: Settings, manifests: Mapping[str, Manifest]
) -> list[Account]:
    served = {channel for account in accounts for channel in account.channels}
    taken = {account.name for account in accounts}
    wanted: list[tuple[str, str, tuple[Channel, ...]]] = []
    if Channel.IN_APP not in served:
        wanted.append((INBOX, "inapp", (Channel.IN_APP,)))
    if settings.development:
        unserved = (c for c in Channel if c not in served and c is not Channel.IN_APP)
        wanted.append((OUTBOX, "outbox", tuple(unserved)))
    return [
        _default(name, manifests[provider], channels, settings)
        for name, provider, channels in wanted
        if channels and name not in taken
    ]


def _default(
    name: str, manifest: Manifest, channels: tuple[Channel, ...], settings: Settings
) -> Account:
    return Account(
        name=name,
        provider=manifest.name,
        channels=channels,
        confirms_delivery=manifest.confirms_delivery,
        # A lease outlives every time-out, the defaults' too.
        timeout=min(10.0, settings.worker.lease / 2),
        values={},
        features=manifest.features,
    )
