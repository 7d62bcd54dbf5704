"""Calls to Amazon's services: signed (Signature Version 4, by botocore), and their common errors.

botocore comes with the extra `aws`; the catalogue loads what imports this module only for an account
that needs it.
"""

import logging
from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidings.domain.provider import Account
from tidings.providers.vendor import Call, read_token


class Signer:
    """Signs for one service with an account's keys. Raises SettingsError for keys that cannot be used."""

    def __init__(self, account: Account, service: str, endpoint: str) -> None:
        # Its debug log shows each request whole, with the session token.
        logging.getLogger("botocore.auth").setLevel(logging.INFO)
        token = read_token(account, "session_token") if account.text("session_token") else None
        credentials = Credentials(
            read_token(account, "access_key_id"), read_token(account, "secret_access_key"), token
        )
        self._auth = SigV4Auth(credentials, service, account.text("region"))
        self._endpoint = endpoint

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Call:
        """A call that is signed as of now; Amazon takes it for some minutes."""
        request = AWSRequest(method, self._endpoint + path, headers=dict(headers), data=body)
        self._auth.add_auth(request)
        signed = {name.lower(): str(value) for name, value in request.headers.items()}
        return Call(method, path, signed, body)
