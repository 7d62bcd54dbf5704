"""Settings: one TOML file, and environment variables over it. The only reader of the environment.

Every setting has a default that works on a laptop. `TIDINGS_API__PORT=9000` sets `[api] port`; the
file is `tidings.toml` in the working directory, or what `TIDINGS_CONFIG` names.
"""

from tidings.settings.accounts import AccountSettings
from tidings.settings.everything import Settings
from tidings.settings.inbox import InboxSettings
from tidings.settings.keeping import RetentionSettings
from tidings.settings.loading import load, publish
from tidings.settings.processes import ApiSettings, LogSettings, OutboundSettings, WorkerSettings
from tidings.settings.receipts import ReceiptSettings
from tidings.settings.section import Seconds, Section, SettingsError, Texts
from tidings.settings.sources import config_file
from tidings.settings.tracking import TrackingSettings
from tidings.settings.trying import (
    BreakerChanges,
    BreakerSettings,
    LimitSettings,
    RateText,
    RetryChanges,
    RetrySettings,
)
from tidings.settings.web import WebSettings

__all__ = [
    "AccountSettings",
    "ApiSettings",
    "BreakerChanges",
    "BreakerSettings",
    "InboxSettings",
    "LimitSettings",
    "LogSettings",
    "OutboundSettings",
    "RateText",
    "ReceiptSettings",
    "RetentionSettings",
    "RetryChanges",
    "RetrySettings",
    "Seconds",
    "Section",
    "Settings",
    "SettingsError",
    "Texts",
    "TrackingSettings",
    "WebSettings",
    "WorkerSettings",
    "config_file",
    "load",
    "publish",
]
