"""The settings, for commands."""

from tidings.cli.errors import CommandError
from tidings.settings import Settings, SettingsError, load


def load_settings() -> Settings:
    """Raises CommandError with all that is wrong."""
    try:
        return load()
    except SettingsError as error:
        raise wrong_settings(error) from None


def wrong_settings(error: SettingsError) -> CommandError:
    return CommandError(str(error), "docs/reference/settings.md describes every setting.")
