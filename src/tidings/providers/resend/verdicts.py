"""Resend's errors, by the name in their body."""

from tidings.domain.outcomes import Unknown
from tidings.domain.reasons import Reason
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    CREDENTIALS,
    REJECTED,
    THROTTLED,
    UNAVAILABLE,
    Table,
    rule,
)

TABLE = Table(
    "https://resend.com/docs/api-reference/errors",
    (
        rule(
            CREDENTIALS,
            "the API key is missing, wrong or not enough",
            codes="missing_api_key invalid_api_key restricted_api_key",
        ),
        rule(
            ACCOUNT,
            "the sender's domain is not verified",
            codes="validation_error invalid_from_address invalid_access invalid_region",
            statuses=(403,),
        ),
        rule(
            ACCOUNT,
            "the sender is not valid",
            codes="invalid_from_address invalid_access invalid_region",
        ),
        rule(
            ADDRESS,
            "the recipient's address is not valid",
            codes="validation_error invalid_parameter",
            text=r"`to`|\"to\"|'to'",
        ),
        rule(CONTENT, "an attachment is not valid", codes="invalid_attachment"),
        rule(
            REJECTED,
            "a field is missing or not valid",
            codes="validation_error missing_required_field invalid_parameter invalid_idempotency_key",
        ),
        # An earlier attempt with this key was taken, and the content was not the same to the byte.
        rule(
            Unknown(Reason.PROVIDER_REJECTED),
            "the key was used before, with another content",
            codes="invalid_idempotent_request",
        ),
        rule(
            UNAVAILABLE,
            "a call with this key is still under way",
            codes="concurrent_idempotent_requests",
        ),
        rule(
            THROTTLED,
            "too many requests, or a quota is used up",
            codes="rate_limit_exceeded daily_quota_exceeded monthly_quota_exceeded",
        ),
        rule(CONTENT, "a security rule forbids it", codes="security_error", statuses=(451,)),
        rule(
            UNAVAILABLE,
            "an error of the vendor's",
            codes="application_error internal_server_error",
        ),
    ),
)
