"""What the database, the keys and the settings raise, said so that a person knows what to do."""

import contextlib
from collections.abc import Iterator

import asyncpg

from tidings.cli.config import wrong_settings
from tidings.cli.errors import CommandError
from tidings.settings import SettingsError
from tidings.store.database import UNAVAILABLE
from tidings.store.embedded import EmbeddedServerError
from tidings.store.keyring import KeyRingError

_WHERE = "TIDINGS_DATABASE_URL says which database is used; without it, Tidings runs its own."


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Raises CommandError for what is expected to go wrong at times; bugs stay bugs."""
    try:
        yield
    except SettingsError as error:
        raise wrong_settings(error) from None
    except KeyRingError as error:
        raise CommandError(
            f"{str(error)[:1].upper()}{str(error)[1:]}.",
            "TIDINGS_KEYRING_FILE or TIDINGS_KEYRING must give the ring that sealed what the database\n"
            "holds; in development it is made with the database, by the first `tidings serve`.",
        ) from None
    except EmbeddedServerError as error:
        raise CommandError(str(error)) from None
    except asyncpg.UndefinedTableError:
        raise CommandError(
            "The database has no schema, or one of an older version.",
            "Run `tidings migrate`; `tidings serve` does it by itself.",
        ) from None
    except (
        asyncpg.InvalidCatalogNameError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.ClientConfigurationError,
    ) as error:
        raise CommandError(f"The database refuses: {error}.", _WHERE) from None
    except (*UNAVAILABLE, TimeoutError) as error:
        what = str(error) or type(error).__name__
        raise CommandError(f"The database cannot be reached: {what}.", _WHERE) from None
