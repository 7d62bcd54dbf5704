"""Amazon SNS's errors, by the Code in their XML."""

from tidings.providers import aws_account
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    REJECTED,
    SUPPRESSED,
    TOO_LARGE,
    Table,
    rule,
)

TABLE = Table(
    "https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors",
    (
        rule(SUPPRESSED, "the number has opted out", codes="OptedOut OptedOutException"),
        rule(SUPPRESSED, "the number has opted out", codes="InvalidParameter", text="opted out"),
        rule(
            ADDRESS,
            "the phone number is not valid",
            codes="InvalidParameter InvalidParameterValue ParameterValueInvalid",
            text="phone ?number",
        ),
        rule(
            TOO_LARGE,
            "the text is too long",
            codes="InvalidParameter InvalidParameterValue ParameterValueInvalid",
            text="too long",
        ),
        rule(CONTENT, "the text is empty", codes="InvalidParameter", text="empty message"),
        rule(
            REJECTED,
            "a parameter is not valid",
            codes="InvalidParameter InvalidParameterValue ParameterValueInvalid ValidationError ValidationException",
        ),
        rule(
            ACCOUNT,
            "the account is in the SMS sandbox, or has no such sender",
            codes="UserError VerificationException NotFound",
        ),
        *aws_account.RULES,
    ),
)
