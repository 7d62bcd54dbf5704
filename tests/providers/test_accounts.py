"""Accounts: what settings become, and what is said about wrong ones."""

from collections.abc import Mapping
from typing import Never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.vendor_answers import APNS, FCM, WEBPUSH
from tidings.domain.channels import Channel
from tidings.domain.provider import Account, Field, FieldValue, Manifest
from tidings.providers.accounts import build_accounts, describe
from tidings.providers.catalogue import CATALOGUE, MANIFESTS, Ports, provider_of
from tidings.providers.fields import WrongValueError, read_value
from tidings.settings import Settings, SettingsError

PASSWORD = "hunter2-and-more"

ACME = Manifest(
    name="acme",
    title="Acme",
    channels=(Channel.EMAIL, Channel.SMS),
    fields=(
        Field("host", "Where it is.", required=True),
        Field("port", "TCP port.", kind="whole_number", default=587, minimum=1, maximum=65_535),
        Field("speed", "Calls.", kind="number", minimum=0, unit="per second"),
        Field("verify", "Whether to verify.", kind="yes_no", default=True),
        Field("api", "API.", kind="url"),
        Field("region", "Region.", kind="choice", choices=("eu", "us"), default="eu"),
        Field("tags", "Tags.", kind="list"),
        Field("password", "Password.", secret=True),
        Field("keys", "Keys.", kind="list", secret=True),
        Field("pin", "PIN.", kind="whole_number", secret=True, minimum=1000),
    ),
)
KNOWN = {"acme": ACME, "inapp": MANIFESTS["inapp"], "outbox": MANIFESTS["outbox"]}


def build(environment: str = "production", /, **accounts: Mapping[str, object]) -> list[Account]:
    settings = Settings.model_validate({"environment": environment, "accounts": accounts})
    return build_accounts(settings, KNOWN)


def problems(**accounts: Mapping[str, object]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        build("production", **accounts)
    return str(raised.value).splitlines()


def test_values_get_their_types_and_defaults() -> None:
    [account, _] = build(acme={"provider": "acme", "host": "h", "speed": 2, "tags": ["a", "b"]})
    assert account.name == "acme"
    assert account.provider == "acme"
    assert account.channels == (Channel.EMAIL, Channel.SMS)
    assert account.values == {
        "host": "h",
        "port": 587,
        "speed": 2.0,
        "verify": True,
        "api": None,
        "region": "eu",
        "tags": ("a", "b"),
        "password": None,
        "keys": None,
        "pin": None,
    }


def test_texts_of_the_environment_are_read() -> None:
    [account, _] = build(
        acme={
            "provider": "acme",
            "host": "h",
            "port": "25",
            "speed": "0.5",
            "verify": "no",
            "api": "https://api.example/v1",
            "region": "us",
            "tags": "a, b",
            "keys": '["c,d", "e"]',
            "pin": "1234",
        }
    )
    assert account.values["port"] == 25
    assert account.number("speed") == 0.5
    assert account.flag("verify") is False
    assert account.text("api") == "https://api.example/v1"
    assert account.text("region") == "us"
    assert account.listed("tags") == ("a", "b")
    assert account.listed("keys") == ("c,d", "e")
    assert account.number("pin") == 1234


def test_empty_text_means_not_given() -> None:
    [account, _] = build(acme={"provider": "acme", "host": "h", "port": "", "tags": ""})
    assert account.values["port"] == 587
    assert account.values["tags"] is None


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("port", 0, "a whole number from 1 to 65535"),
        ("port", 65_536, "a whole number from 1 to 65535"),
        ("port", 25.0, "a whole number from 1 to 65535"),
        ("port", True, "a whole number from 1 to 65535"),
        ("port", "25x", "a whole number from 1 to 65535"),
        ("port", "9" * 30, "a whole number from 1 to 65535"),
        ("speed", -0.1, "a number of at least 0 (per second)"),
        ("speed", "nan", "a number of at least 0 (per second)"),
        ("speed", "inf", "a number of at least 0 (per second)"),
        ("speed", True, "a number of at least 0 (per second)"),
        ("verify", "maybe", "true or false"),
        ("verify", 1, "true or false"),
        ("api", "not a url", "an http or https URL without credentials"),
        ("api", "ftp://h/", "an http or https URL without credentials"),
        ("api", "https://u:p@h/", "an http or https URL without credentials"),
        ("region", "mars", "one of eu, us"),
        ("region", 1, "one of eu, us"),
        ("tags", 3, "a list of texts, or one text with commas between them"),
        ("tags", ["a", 1], "a list of texts, or one text with commas between them"),
        ("tags", "a,,b", "a list of texts, or one text with commas between them"),
        ("tags", "[broken", "a list of texts, or one text with commas between them"),
        ("host", 5, "a text"),
        ("host", "a\0b", "a text"),
    ],
)
def test_wrong_value(field: str, value: object, allowed: str) -> None:
    declared: dict[str, object] = {"provider": "acme", "host": "h", field: value}
    assert problems(**{"main-acme": declared}) == [
        f"accounts.main-acme.{field}: got {value!r}; allowed is {allowed}"
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("password", 12345), ("keys", [PASSWORD, 1]), ("pin", 999)]
)
def test_wrong_secret_is_not_shown(field: str, value: object) -> None:
    [problem] = problems(acme={"provider": "acme", "host": "h", field: value})
    assert problem.startswith(f"accounts.acme.{field}: got (hidden); allowed is ")


@pytest.mark.parametrize("value", [None, ""])
def test_required_field(value: object) -> None:
    declared = {"provider": "acme"} | ({} if value is None else {"host": value})
    assert problems(acme=declared) == ["accounts.acme.host is required: allowed is a text"]


def test_unknown_field_names_the_nearest_and_hides_the_value() -> None:
    assert problems(acme={"provider": "acme", "host": "h", "pasword": PASSWORD}) == [
        'accounts.acme.pasword is not a setting of acme; did you mean "password"?'
    ]
    [problem] = problems(acme={"provider": "acme", "host": "h", "zzz": PASSWORD})
    assert "it has: api, host, keys" in problem
    assert PASSWORD not in problem


def test_unknown_provider() -> None:
    assert problems(a={"provider": "acmee"}) == [
        """accounts.a.provider: got 'acmee'; did you mean "acme"?"""
    ]
    assert problems(a={"provider": "zzz"}) == [
        "accounts.a.provider: got 'zzz'; allowed: acme, inapp, outbox"
    ]


def test_channels() -> None:
    [account, *_] = build(acme={"provider": "acme", "host": "h", "channels": ["sms", "sms"]})
    assert account.channels == (Channel.SMS,)
    declared: dict[str, object] = {"provider": "acme", "host": "h"}
    assert problems(acme=declared | {"channels": ["sms", "push", "fax"]}) == [
        "accounts.acme.channels: got 'push'; allowed with acme: email, sms",
        "accounts.acme.channels: got 'fax'; allowed with acme: email, sms",
    ]
    assert problems(acme=declared | {"channels": []}) == [
        "accounts.acme.channels: got none; allowed with acme: email, sms"
    ]


@pytest.mark.parametrize("name", ["Main", "a b", "", "-a", "a" * 64, "ü"])
def test_wrong_name(name: str) -> None:
    [problem] = problems(**{name: {"provider": "acme", "host": "h"}})
    assert problem.startswith(f"accounts.{name}: the name of an account is ")


def test_all_problems_at_once() -> None:
    found = problems(
        a={"provider": "none"},
        b={"provider": "acme", "port": 0, "zzz": 1, "channels": ["push"]},
        c={"provider": "acme", "host": "h"},
    )
    assert [problem.split(":")[0].split(" ")[0] for problem in found] == [
        "accounts.a.provider",
        "accounts.b.zzz",
        "accounts.b.host",
        "accounts.b.port",
        "accounts.b.channels",
    ]


def test_confirms_delivery_can_be_set() -> None:
    [account, _] = build(acme={"provider": "acme", "host": "h"})
    assert account.confirms_delivery is False
    [account, _] = build(acme={"provider": "acme", "host": "h", "confirms_delivery": True})
    assert account.confirms_delivery is True


def shape(accounts: list[Account]) -> list[tuple[str, str, tuple[Channel, ...]]]:
    return [(account.name, account.provider, account.channels) for account in accounts]


def test_defaults_of_development() -> None:
    assert shape(build("development")) == [
        ("inbox", "inapp", (Channel.IN_APP,)),
        (
            "outbox",
            "outbox",
            (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.WEBHOOK, Channel.CHAT),
        ),
    ]


def test_defaults_fill_only_what_is_not_served() -> None:
    accounts = build("development", acme={"provider": "acme", "host": "h"})
    assert shape(accounts) == [
        ("acme", "acme", (Channel.EMAIL, Channel.SMS)),
        ("inbox", "inapp", (Channel.IN_APP,)),
        ("outbox", "outbox", (Channel.PUSH, Channel.WEBHOOK, Channel.CHAT)),
    ]


def test_defaults_of_production() -> None:
    assert shape(build()) == [("inbox", "inapp", (Channel.IN_APP,))]


def test_configured_account_takes_the_place_of_the_default() -> None:
    feed: dict[str, object] = {"provider": "inapp"}
    outbox: dict[str, object] = {"provider": "outbox", "channels": ["email"]}
    assert shape(build("development", feed=feed, outbox=outbox)) == [
        ("feed", "inapp", (Channel.IN_APP,)),
        ("outbox", "outbox", (Channel.EMAIL,)),
    ]


def test_time_out_of_defaults_is_below_the_lease() -> None:
    settings = Settings.model_validate({"worker": {"lease": 6, "heartbeat": 1}})
    assert {account.timeout for account in build_accounts(settings, KNOWN)} == {3.0}


def test_describe_hides_secrets() -> None:
    [account, _] = build(
        acme={"provider": "acme", "host": "h", "password": PASSWORD, "keys": [PASSWORD]}
    )
    shown = describe(account, ACME)
    assert shown["password"] == "***"
    assert shown["keys"] == "***"
    assert shown["pin"] is None
    assert shown["host"] == "h"
    assert shown["channels"] == ["email", "sms"]
    assert PASSWORD not in repr(shown) + repr(account)


def test_every_account_of_the_catalogue_can_be_declared() -> None:
    """A minimal account of each provider becomes a provider."""
    amazon: dict[str, object] = {
        "region": "eu-west-1",
        "access_key_id": "AKID",
        "secret_access_key": "secret",
    }
    needed: dict[str, dict[str, object]] = {
        "apns": dict(APNS.values),
        "fcm": {"service_account": FCM.values["service_account"]},
        "webpush": dict(WEBPUSH.values),
        "mailgun": {"api_key": "key", "domain": "example.com", "from": "a@example.com"},
        "postmark": {"server_token": "token", "from": "a@example.com"},
        "resend": {"api_key": "key", "from": "a@example.com"},
        "sendgrid": {"api_key": "key", "from": "a@example.com"},
        "telegram": {"token": "123456:" + "a" * 35},
        "ses": amazon | {"from": "a@example.com"},
        "smtp": {"host": "mail.example", "from": "a@example.com"},
        "sns": amazon,
        "twilio": {"account_sid": "AC" + "0" * 32, "auth_token": "t", "from": "+15005550006"},
        "vonage": {"api_key": "key", "api_secret": "s", "from": ["US=+15005550006", "*=ACME"]},
        "webhook": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    }
    declared = {name: {"provider": name} | needed.get(name, {}) for name in CATALOGUE}
    settings = Settings.model_validate({"environment": "production", "accounts": declared})
    accounts = build_accounts(settings, MANIFESTS)
    assert {account.provider for account in accounts} == set(CATALOGUE)
    for account in accounts:
        assert provider_of(account, NO_PORTS).account is account


def test_catalogue_names_each_provider_as_its_manifest_does() -> None:
    for name, (manifest, _) in CATALOGUE.items():
        assert manifest.name == name
        assert manifest.channels
        fields = [field.name for field in manifest.fields]
        assert len(set(fields)) == len(fields)
        assert manifest.address_field is None or manifest.address_field in fields


class NoHttp:
    async def send(self, request: object) -> Never:
        raise AssertionError("nothing is sent here")

    async def close(self) -> None:
        raise AssertionError("not the provider's to close")


async def no_store(*args: object) -> None:
    raise AssertionError("nothing is stored here")


NO_PORTS = Ports(http=NoHttp(), guarded=NoHttp(), store_in_app=no_store, store_outbox=no_store)

FIELDS = st.sampled_from(ACME.fields)
GIVEN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
TYPES = {
    "text": str,
    "whole_number": int,
    "number": float,
    "yes_no": bool,
    "url": str,
    "choice": str,
    "list": tuple,
}


@given(FIELDS, GIVEN)
def test_any_value_is_read_or_refused(field: Field, given_value: object) -> None:
    try:
        value: FieldValue = read_value(field, given_value)
    except WrongValueError:
        return
    assert value == field.default or type(value) is TYPES[field.kind]
