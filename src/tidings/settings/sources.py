"""Where settings come from: the file, and the environment over it."""

import os
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource


def config_file() -> Path:
    """The settings file: TIDINGS_CONFIG, or tidings.toml in the working directory."""
    return Path(os.environ.get("TIDINGS_CONFIG", "tidings.toml"))


class Environment(EnvSettingsSource):
    """The environment's values as they are: what a text means is known where it is checked. A password
    such as 123 or true would otherwise arrive as something else."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        if field is None or not str(value).lstrip().startswith(("{", "[")):
            return value
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value
