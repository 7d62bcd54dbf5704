"""Provider tokens: one for all calls, made anew between every 20 and 60 minutes, as Apple asks for.

https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
"""

import re
from collections.abc import Callable

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tidings.domain.provider import Account
from tidings.settings import SettingsError

USED = 40 * 60.0
"""Seconds for which a token is used."""

SHORTEST = 20 * 60.0
"""Seconds before which Apple takes no newer one: TooManyProviderTokenUpdates."""

_ID = re.compile(r"[A-Za-z0-9]{10}")


class ProviderTokens:
    """clock: seconds since the epoch. Raises SettingsError."""

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._key = _read_key(account)
        self._key_id, self._team = (_read_id(account, name) for name in ("key_id", "team_id"))
        self._clock = clock
        self._made_at = 0.0
        self._token = ""

    async def token(self, seconds: float, refused: str | None = None) -> str:
        """At once: it is signed here."""
        now = self._clock()
        age = now - self._made_at
        lasts = SHORTEST if refused == self._token else USED
        if not self._token or not 0 <= age < lasts:
            claims = {"iss": self._team, "iat": int(now)}
            self._token = jwt.encode(claims, self._key, "ES256", headers={"kid": self._key_id})
            self._made_at = now
        return self._token


def _read_key(account: Account) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(account.text("signing_key").strip().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise SettingsError(
            f"accounts.{account.name}.signing_key: not a private key of the curve P-256; it is the whole text of "
            "the .p8 file"
        )
    return key


def _read_id(account: Account, name: str) -> str:
    text = account.text(name).strip()
    if not _ID.fullmatch(text):
        raise SettingsError(f"accounts.{account.name}.{name}: it is 10 letters and digits")
    return text
