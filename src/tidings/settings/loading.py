"""Reading the settings, and saying what is wrong with them."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from tidings.settings.everything import Settings
from tidings.settings.section import Section, SettingsError
from tidings.settings.sources import config_file


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
