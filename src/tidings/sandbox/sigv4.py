"""Checks the signatures of calls to Amazon (Signature Version 4).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from tidings.sandbox.calls import Call
from tidings.sandbox.credentials import credential

ACCESS_KEY_ID = "AKIASANDBOX000000000"
SECRET_ACCESS_KEY = credential("amazon")
REGION = "eu-west-1"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>(?P<day>[0-9]{8})/(?P<region>[^/]+)/(?P<service>[^/]+)"
    r"/aws4_request), ?SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


def problem(call: Call) -> tuple[str, str] | None:
    """What is wrong with a call's signature: code and text; None when it is right."""
    given = call.header("authorization")
    if not given:
        return "MissingAuthenticationToken", "Request is missing Authentication Token"
    found = _AUTHORIZATION.fullmatch(given)
    if found is None:
        return (
            "IncompleteSignature",
            "Authorization header is not in the form of Signature Version 4",
        )
    if found["key"] != ACCESS_KEY_ID:
        return "InvalidClientTokenId", "The security token included in the request is invalid."
    lines = (
        "AWS4-HMAC-SHA256",
        call.header("x-amz-date"),
        found["scope"],
        _canonical(call, found["headers"].split(";")),
    )
    key = _key(found["day"], found["region"], found["service"])
    signature = hmac.digest(key, "\n".join(lines).encode(), "sha256").hex()
    if not hmac.compare_digest(signature, found["signature"]):
        return (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )
    return None


def _canonical(call: Call, names: Sequence[str]) -> str:
    """The digest of the request as it is signed. A path is encoded once more, and its // made one."""
    query = sorted(parse_qsl(call.query, keep_blank_values=True))
    request = "\n".join(
        (
            call.method,
            quote(re.sub("/+", "/", call.raw_path), safe="/~"),
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query),
            *(f"{name}:{' '.join(call.header(name).split())}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(call.body).hexdigest(),
        )
    )
    return hashlib.sha256(request.encode()).hexdigest()


@lru_cache
def _key(day: str, region: str, service: str) -> bytes:
    key = f"AWS4{SECRET_ACCESS_KEY}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
