"""Settings: one TOML file, and environment variables over it. The only reader of the environment.

Every setting has a default that works on a laptop. `TIDINGS_API__PORT=9000` sets `[api] port`; the
file is `tidings.toml` in the working directory, or what `TIDINGS_CONFIG` names.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tidings.domain.channels import Channel
from tidings.domain.limits import Limit, Over, Rate, Scope
from tidings.domain.priorities import PriorityWord


class SettingsError(Exception):
    """A setting is wrong; the message names it, what was seen and what is allowed."""


def _listed(value: object) -> object:
    """A list from the environment: JSON, or with commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        # Left alone, pydantic takes true for 1.
        wanted = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and wanted in {int, float}:
            raise ValueError("Input should be a number")
        return value


def _countries(listed: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [one for one in listed if not re.fullmatch("[A-Za-z]{2}", one)]:
        raise ValueError(f"allowed are countries of two letters, as DE (ISO 3166): {wrong[0]!r}")
    return tuple(one.upper() for one in listed)


class ApiSettings(Section):
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """TCP port to listen on."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """API processes that share the port."""
    max_body: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 256 * 2**10
    """Largest body of a request, in bytes; bulk has its own limit."""
    max_bulk_body: Annotated[int, Field(ge=1024, le=512 * 2**20)] = 32 * 2**20
    """Largest body of a bulk request, in bytes."""
    commit_batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Notifications stored by one transaction at the most (group commit)."""
    shutdown_grace: Seconds = 10
    """Seconds that open requests get when the API is asked to stop."""


class WorkerSettings(Section):
    processes: Annotated[int, Field(ge=0, le=64)] = 0
    """Worker processes that `tidings serve` starts; 0 for two, or one on a machine with one core."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 768
    """Deliveries in flight in one worker process at the most."""
    claim_batch: Annotated[int, Field(ge=1, le=5_000)] = 256
    """Deliveries claimed by one query at the most."""
    lease: Annotated[float, Field(ge=2, le=3600)] = 20
    """Seconds after which what a dead worker held is taken over; longer than every provider time-out."""
    weights: dict[Literal["high", "medium", "low"], Annotated[float, Field(gt=0, le=1000)]] = {
        "high": 6,
        "medium": 3,
        "low": 1,
    }
    """How the places are shared while all of these wait; critical goes before them."""
    heartbeat: Annotated[float, Field(ge=0.2, le=600)] = 5
    """Seconds between renewals of the leases; at most a third of the lease."""
    poll: Annotated[float, Field(ge=0.05, le=60)] = 1
    """Seconds between looks at the queue when nothing wakes the worker."""
    shutdown_grace: Seconds = 15
    """Seconds that calls in flight get when the worker is asked to stop."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port for Prometheus of a worker that runs alone; 0 for none. Under `serve` the API has them all."""

    @model_validator(mode="after")
    def _heartbeat_fits(self) -> "WorkerSettings":
        if self.heartbeat * 3 > self.lease:
            raise ValueError("heartbeat must be at most a third of lease")
        return self


class RetryChanges(Section):
    """What differs from the general policy; what is not given is as there."""

    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    base: Annotated[float, Field(ge=0, le=3600)] | None = None
    cap: Annotated[float, Field(ge=0, le=86_400)] | None = None
    total: Seconds | None = None

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


_SOONER_AND_LONGER = RetryChanges(attempts=12, base=0.5, cap=300, total=172_800)


class RetrySettings(Section):
    attempts: Annotated[int, Field(ge=1, le=100)] = 8
    """Calls to a provider for one delivery at the most."""
    base: Annotated[float, Field(ge=0, le=3600)] = 2
    """Seconds: the ceiling of the first wait; it doubles with each attempt, with full jitter below it."""
    cap: Annotated[float, Field(ge=0, le=86_400)] = 900
    """Seconds: the ceiling of any wait."""
    total: Seconds = 86_400
    """Seconds from acceptance after which trying ends."""
    priority: dict[PriorityWord, RetryChanges] = {"critical": _SOONER_AND_LONGER}
    """What differs by priority, as `[retry.priority.critical]`; by default critical is retried sooner and for longer."""
    channel: dict[Channel, RetryChanges] = {}
    """What differs by channel, as `[retry.channel.sms]`; it goes before what differs by priority. An account can have a
    `retry` table of its own, which goes before both."""

    @property
    def general(self) -> dict[str, Any]:
        return self.model_dump(include={"attempts", "base", "cap", "total"})


class BreakerChanges(Section):
    """What differs from the general settings; what is not given is as there."""

    enabled: bool | None = None
    window: Annotated[int, Field(ge=2, le=300)] | None = None
    failure_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    minimum_calls: Annotated[int, Field(ge=1, le=100_000)] | None = None
    slow_after: Annotated[float, Field(gt=0, le=600)] | None = None
    open_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    open_cap: Annotated[float, Field(gt=0, le=86_400)] | None = None
    probes: Annotated[int, Field(ge=1, le=100)] | None = None

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class BreakerSettings(Section):
    enabled: bool = True
    """Hold an account back while it fails. Each of these can differ by account, as `[accounts.NAME.breaker]`.
    Webhooks, the in-app feed and the outbox have one only where theirs says `enabled = true`: one receiver that
    fails says nothing about the others."""
    window: Annotated[int, Field(ge=2, le=300)] = 10
    """Seconds over which calls are counted."""
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of failed and slow calls from which on the account is held back."""
    minimum_calls: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Calls in the window below which nothing is concluded."""
    slow_after: Annotated[float, Field(gt=0, le=600)] = 3
    """Seconds after which a call counts as slow, before it has ended."""
    open_seconds: Annotated[float, Field(gt=0, le=3600)] = 5
    """Seconds until the first probe; they double each time that it fails again."""
    open_cap: Annotated[float, Field(gt=0, le=86_400)] = 60
    """Seconds until a probe at the most."""
    probes: Annotated[int, Field(ge=1, le=100)] = 3
    """Calls of a round of probes, over all workers; all must succeed."""


class OutboundSettings(Section):
    allow: Texts = ()
    """Networks (CIDR) or host names that webhooks may reach although they are private, e.g. 10.1.0.0/16."""


class LogSettings(Section):
    format: Literal["console", "json"] | None = None
    """console or json; by default console on a terminal and json elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""


class RetentionSettings(Section):
    outbox: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Messages that the outbox keeps; the oldest go first."""
    idempotency: Seconds = 86_400
    """Seconds for which an Idempotency-Key is remembered."""


def _rate(value: object) -> Rate:
    return value if isinstance(value, Rate) else Rate.parse(str(value))


RateText = Annotated[
    Rate, BeforeValidator(_rate), PlainSerializer(str), WithJsonSchema({"type": "string"})
]


class LimitSettings(Section):
    """At most so many calls to providers in any stretch of time, over all workers."""

    rate: RateText
    """How many in which time, as "100/s", "0.5/s", "3/h" or "500 per 10 s"."""
    scope: Scope = Scope.GLOBAL
    """What is counted together: everything, or each account, channel, category, template, recipient (address), user
    or api_key by itself."""
    over: Over = "wait"
    """What becomes of a delivery beyond the limit: wait, or skip."""
    account: str | None = None
    """Only for deliveries over this account."""
    channel: Channel | None = None
    """Only for deliveries over this channel."""
    category: str | None = None
    """Only for notifications of this category."""
    template: str | None = None
    """Only for notifications with this template."""
    api_key: str | None = None
    """Only for what was sent with the API key of this name."""


class AccountSettings(BaseModel):
    """A provider account; beside these, the fields of its provider's manifest."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    provider: str
    channels: Texts | None = None
    confirms_delivery: bool | None = None
    timeout: Annotated[float, Field(gt=0, le=600)] = 10
    order: Annotated[int, Field(ge=0, le=1000)] = 0
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1
    categories: Texts = ()
    countries: Annotated[Texts, AfterValidator(_countries)] = ()
    sender_domains: Texts = ()
    rate: RateText | None = None
    retry: RetryChanges = RetryChanges()
    breaker: BreakerChanges = BreakerChanges()

    @property
    def values(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Which fields are secret only the provider's manifest knows, so none is shown.
        return [("provider", self.provider), ("channels", self.channels), ("timeout", self.timeout)]


class _Environment(EnvSettingsSource):
    """The environment's values as they are: what a text means is known where it is checked. A password
    such as 123 or true would otherwise arrive as something else."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        if field is None or not str(value).lstrip().startswith(("{", "[")):
            return value
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """All settings. Names of environment variables: TIDINGS_ and the name, `__` between the levels."""

    model_config = SettingsConfigDict(
        env_prefix="TIDINGS_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    environment: Literal["development", "production"] = "development"
    """development makes its own keys and delivers into the outbox; production wants both configured."""
    data_dir: Path = Path(platformdirs.user_data_dir("tidings", appauthor=False))
    """Directory of the embedded database and the development keys."""
    database_url: SecretStr | None = None
    """URL of a PostgreSQL 15 or later; without it, the embedded server is used."""
    database_pool: Annotated[int, Field(ge=2, le=200)] = 8
    """Database connections of one process at the most."""
    keyring: SecretStr | None = None
    """The key ring itself (JSON), for those who keep secrets in the environment."""
    keyring_file: Path | None = None
    """File that holds the key ring; in development the default is in data_dir."""
    url: str = "http://127.0.0.1:8000"
    """Where the command line finds the API."""
    api_key: SecretStr | None = None
    """API key that the command line uses; in development the default is in data_dir."""
    api: ApiSettings = ApiSettings()
    worker: WorkerSettings = WorkerSettings()
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    outbound: OutboundSettings = OutboundSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)
    """Provider accounts by name, as `[accounts.NAME]` with `provider = "…"` and its fields."""

    limits: dict[str, LimitSettings] = Field(default_factory=dict)
    """Rate limits by name, as `[limits.NAME]` with `rate = "3/h"` and what it holds for."""

    @field_validator("limits")
    @classmethod
    def _are_names(cls, value: dict[str, LimitSettings]) -> dict[str, LimitSettings]:
        if wrong := [name for name in value if not re.fullmatch("[a-z0-9_-]{1,60}", name)]:
            raise ValueError(f"allowed in a name are a to z, 0 to 9, - and _: {wrong[0]!r}")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_a_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _names_postgres(value.get_secret_value()):
            raise ValueError("allowed is a URL like postgresql://user:password@host:5432/database")
        return value

    @field_validator("data_dir", "keyring_file")
    @classmethod
    def _home(cls, path: Path | None) -> Path | None:
        return path and path.expanduser()

    @model_validator(mode="after")
    def _lease_outlives_timeouts(self) -> "Settings":
        for name, account in self.accounts.items():
            if account.timeout >= self.worker.lease:
                raise ValueError(
                    f"accounts.{name}.timeout ({account.timeout:g} s) must be shorter than "
                    f"worker.lease ({self.worker.lease:g} s)"
                )
        return self

    @model_validator(mode="after")
    def _limits_name_accounts(self) -> "Settings":
        for name, limit in self.limits.items():
            if limit.account is not None and limit.account not in self.accounts:
                raise ValueError(
                    f"limits.{name}.account: got {limit.account!r}; allowed are "
                    f"{', '.join(sorted(self.accounts)) or 'accounts, of which there are none'}"
                )
        return self

    @property
    def rate_limits(self) -> tuple[Limit, ...]:
        """Those of `limits`, and those that accounts have."""
        named = [
            Limit(name=name, **{field: getattr(one, field) for field in LimitSettings.model_fields})
            for name, one in self.limits.items()
        ]
        of_accounts = [
            Limit(f"accounts.{name}", one.rate, Scope.ACCOUNT, account=name)
            for name, one in self.accounts.items()
            if one.rate is not None
        ]
        return (*named, *of_accounts)

    @property
    def development(self) -> bool:
        return self.environment == "development"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, _Environment(settings_cls), toml


def _names_postgres(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Several hosts, as libpq allows them, have no single port to check.
        return parts.scheme in {"postgres", "postgresql"} and (
            "," in parts.netloc or parts.port != 0
        )
    except ValueError:
        return False


def config_file() -> Path:
    """The settings file: TIDINGS_CONFIG, or tidings.toml in the working directory."""
    return Path(os.environ.get("TIDINGS_CONFIG", "tidings.toml"))


def load(**overrides: Any) -> Settings:
    """Read the settings. Raises SettingsError with all that is wrong, one line each."""
    if "TIDINGS_CONFIG" in os.environ and not config_file().exists():
        raise SettingsError(f"TIDINGS_CONFIG names {config_file()}, which does not exist")
    if config_file().is_dir():
        raise SettingsError(f"{config_file()} is a directory; it must be a TOML file")
    _refuse_unknown_variables()
    try:
        settings = Settings(**overrides)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config_file()} is not valid TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{config_file()} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e) for e in error.errors())) from None
    return settings.model_copy(
        update={
            "accounts": {
                name: account.model_copy(
                    update={k: _resolve(name, k, v) for k, v in account.values.items()}
                )
                for name, account in settings.accounts.items()
            }
        }
    )


def publish(**variables: str) -> None:
    """Set environment variables for the processes that this one starts from now on."""
    os.environ.update(variables)


def _refuse_unknown_variables() -> None:
    """A mistyped TIDINGS_ variable would otherwise be ignored in silence."""
    known = {*Settings.model_fields, "config"}
    for name in os.environ:
        if not name.startswith("TIDINGS_"):
            continue
        first, *below = name.removeprefix("TIDINGS_").lower().split("__")
        if first not in known:
            raise SettingsError(
                f"{name} is not a setting of Tidings; known are "
                + ", ".join(f"TIDINGS_{field.upper()}" for field in sorted(known))
            )
        if below and not _has_levels(first):
            raise SettingsError(f"{name} is not a setting of Tidings; TIDINGS_{first.upper()} is")


def _has_levels(name: str) -> bool:
    field = Settings.model_fields.get(name)
    return name in {"accounts", "limits"} or (
        field is not None
        and isinstance(field.annotation, type)
        and issubclass(field.annotation, Section)
    )


def _resolve(account: str, name: str, value: Any) -> Any:
    """A value given by reference: {env = "NAME"} or {file = "/path"}."""
    if not isinstance(value, Mapping):
        return value
    where = f"accounts.{account}.{name}"
    match dict(value):
        case {"env": str(variable), **rest} if not rest:
            if variable not in os.environ:
                raise SettingsError(
                    f"{where} refers to environment variable {variable}, which is not set"
                )
            return os.environ[variable]
        case {"file": str(path), **rest} if not rest:
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError(f"{where} refers to file {path}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise SettingsError(f"{where} refers to file {path}: it is not text") from None
    raise SettingsError(f'{where}: a reference is {{env = "NAME"}} or {{file = "/path"}}')


def _explain(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    message = cast("str", error["msg"]).removeprefix("Value error, ")
    if not path:
        return message
    variable = "TIDINGS_" + "__".join(str(part) for part in error["loc"]).upper()
    if error["type"] == "extra_forbidden":
        return f"{path} is not a setting of Tidings (see docs/reference/settings.md)"
    seen = "(hidden)" if _is_secret(path) else repr(error.get("input"))
    return f"{path} ({variable}): got {seen}; {message[0].lower()}{message[1:]}"


def _is_secret(path: str) -> bool:
    return path.partition(".")[0] in {"database_url", "keyring", "api_key", "accounts"}
