"""What accounts with Amazon have in common: fields, endpoints, and errors that every service has.

Apart from `aws`, so that manifests can be read without botocore.
"""

import re

from tidings.domain.provider import Account, Field
from tidings.providers.refusals import ACCOUNT, CREDENTIALS, THROTTLED, UNAVAILABLE, Rule, rule
from tidings.providers.vendor import CA_FILE, read_endpoint
from tidings.settings import SettingsError

FIELDS = (
    Field("region", "Region, such as eu-west-1.", required=True),
    Field("access_key_id", "Access key ID of a user or role.", required=True, secret=True),
    Field("secret_access_key", "Secret access key.", required=True, secret=True),
    Field("session_token", "Session token of temporary credentials.", secret=True),
    Field(
        "endpoint",
        "Where the API is, instead of the region's own: a VPC endpoint, or a stand-in for tests. https; "
        "http only to this machine.",
        kind="url",
    ),
    CA_FILE,
)

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html and the "Common
# Errors" of each service's reference. Some services add "Exception" to the names.
RULES: tuple[Rule, ...] = (
    rule(
        CREDENTIALS,
        "key, secret, session token or the clock of this machine is wrong",
        codes="AuthFailure ExpiredToken ExpiredTokenException IncompleteSignature "
        "IncompleteSignatureException InvalidAccessKeyId InvalidClientTokenId InvalidSecurity "
        "InvalidSignatureException MissingAuthenticationToken MissingAuthenticationTokenException "
        "OptInRequired RequestExpired RequestTimeTooSkewed SignatureDoesNotMatch "
        "UnrecognizedClientException",
    ),
    rule(
        ACCOUNT,
        "the keys have no permission for this",
        codes="AccessDenied AccessDeniedException AuthorizationError NotAuthorized "
        "UnauthorizedOperation",
    ),
    rule(
        THROTTLED,
        "too many requests",
        codes="LimitExceededException RequestLimitExceeded SlowDown Throttled ThrottledException "
        "Throttling ThrottlingException TooManyRequestsException",
    ),
    rule(
        UNAVAILABLE,
        "an error of the vendor's",
        codes="InternalError InternalFailure InternalServiceError ServiceUnavailable "
        "ServiceUnavailableException",
    ),
)


def endpoint_of(account: Account, service: str) -> str:
    """The account's endpoint, else that of its region. Raises SettingsError.

    https://docs.aws.amazon.com/general/latest/gr/rande.html
    """
    region = account.text("region")
    if not _REGION.fullmatch(region):
        raise SettingsError(f"accounts.{account.name}.region: not a region; one is eu-west-1")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return read_endpoint(account, otherwise=f"https://{service}.{region}.{suffix}")
