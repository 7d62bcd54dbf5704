"""Where things are kept. Light on purpose: the supervisor and the command line need little else."""

from pathlib import Path

from tidings.settings import Settings, SettingsError


def embedded_directory(settings: Settings) -> Path:
    return settings.data_dir / "postgres"


def development_key_file(settings: Settings) -> Path:
    """The API key that a development installation makes for its owner."""
    return settings.data_dir / "api_key"


def keyring_file(settings: Settings) -> Path | None:
    """Where the key ring is kept; None when it comes from the environment. Raises SettingsError."""
    if settings.keyring is not None:
        return None
    if settings.keyring_file is not None:
        return settings.keyring_file
    if settings.development:
        return settings.data_dir / "keyring.json"
    raise SettingsError(
        "production needs a key ring: set TIDINGS_KEYRING_FILE to a file made by `tidings keyring new`, "
        "or TIDINGS_KEYRING to its content"
    )
