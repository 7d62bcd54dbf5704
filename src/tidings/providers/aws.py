"""Calls to Amazon's services: signed (Signature Version 4, by botocore), and their common errors.

botocore comes with the extra `aws`; the catalogue loads what imports this module only for an account
that needs it.
"""

import hmac
import logging
from collections.abc import Mapping
from hashlib import sha256

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
        self._auth = _Auth(credentials, service, account.text("region"))
        self._endpoint = endpoint
        self._host = self._auth.headers_to_sign(AWSRequest("GET", endpoint))["host"]

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Call:
        """A call that is signed as of now; Amazon takes it for some minutes."""
        # Where the host is not among the headers, botocore reads it from the URL, twice.
        given = {**headers, "host": self._host}
        request = AWSRequest(method, self._endpoint + path, headers=given, data=body)
        self._auth.add_auth(request)
        signed = {name.lower(): str(value) for name, value in request.headers.items()}
        del signed["host"]  # the HTTP client says it
        return Call(method, path, signed, body)


class _Auth(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs as botocore does, without doing again for each call what is the same for a day: a third of the CPU."""

    def __init__(self, credentials: Credentials, service: str, region: str) -> None:
        super().__init__(credentials, service, region)
        self._scope = service, region
        self._day, self._key = "", b""

    def payload(self, request: AWSRequest) -> str:
        """Of bytes, which are all that comes here; botocore first makes a request for its own HTTP client."""
        return sha256(request.data).hexdigest()

    def signature(self, string_to_sign: str, request: AWSRequest) -> str:
        """The key changes with the day.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
        day: str = request.context["timestamp"][:8]
        if day != self._day:
            self._day, self._key = day, self._key_of(day)
        return hmac.new(self._key, string_to_sign.encode(), sha256).hexdigest()

    def _key_of(self, day: str) -> bytes:
        service, region = self._scope
        key = f"AWS4{self.credentials.secret_key}".encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), sha256).digest()
        return key
