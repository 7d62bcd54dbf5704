"""All settings together, and what must fit between their sections."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import platformdirs
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tidings.domain.limits import Limit, Scope
from tidings.settings.accounts import AccountSettings
from tidings.settings.inbox import InboxSettings
from tidings.settings.keeping import RetentionSettings
from tidings.settings.processes import ApiSettings, LogSettings, OutboundSettings, WorkerSettings
from tidings.settings.receipts import ReceiptSettings
from tidings.settings.sources import Environment, config_file
from tidings.settings.tracking import TrackingSettings
from tidings.settings.trying import BreakerSettings, LimitSettings, RetrySettings
from tidings.settings.web import WebSettings


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
    timezone: str = "UTC"
    """Time zone (IANA) of recipients whose own is not known: quiet hours and local times go by it."""
    api: ApiSettings = ApiSettings()
    worker: WorkerSettings = WorkerSettings()
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    outbound: OutboundSettings = OutboundSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
    receipts: ReceiptSettings = ReceiptSettings()
    tracking: TrackingSettings = TrackingSettings()
    inbox: InboxSettings = InboxSettings()
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

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"allowed are zones like Europe/Berlin: {value!r}")
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

    @model_validator(mode="after")
    def _tracking_has_a_url(self) -> "Settings":
        if (self.tracking.opens or self.tracking.clicks) and self.web.public_url is None:
            raise ValueError(
                "tracking: opens and clicks need web.public_url, where people reach the API"
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
        return init_settings, Environment(settings_cls), toml


def _names_postgres(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Several hosts, as libpq allows them, have no single port to check.
        return parts.scheme in {"postgres", "postgresql"} and (
            "," in parts.netloc or parts.port != 0
        )
    except ValueError:
        return False
