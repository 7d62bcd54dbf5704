"""Amazon SES's errors: of a call by the type in the header x-amzn-ErrorType, of one of many by its status.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_BulkEmailEntryResult.html
"""

from tidings.providers import aws_account
from tidings.providers.refusals import (
    ACCOUNT,
    ADDRESS,
    CONTENT,
    REJECTED,
    THROTTLED,
    TOO_LARGE,
    UNAVAILABLE,
    Table,
    rule,
)

TABLE = Table(
    "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors",
    (
        rule(
            ACCOUNT,
            "the sender is not verified, or the account is in the sandbox and the recipient is not",
            codes="MessageRejected MESSAGE_REJECTED",
            text="not verified|authori[sz]|authority",
        ),
        rule(
            CONTENT,
            "the message has content that is not allowed",
            codes="MessageRejected MESSAGE_REJECTED",
        ),
        rule(
            ACCOUNT,
            "the sending domain is not verified",
            codes="MailFromDomainNotVerifiedException MAIL_FROM_DOMAIN_NOT_VERIFIED",
        ),
        rule(
            ACCOUNT,
            "sending is suspended or paused",
            codes="AccountSuspendedException SendingPausedException ACCOUNT_SUSPENDED ACCOUNT_SENDING_PAUSED "
            "CONFIGURATION_SET_SENDING_PAUSED",
        ),
        rule(
            ACCOUNT,
            "the configuration set is not there",
            codes="NotFoundException CONFIGURATION_SET_NOT_FOUND INVALID_SENDING_POOL_NAME",
        ),
        rule(
            THROTTLED,
            "the sending limit or the daily quota is reached",
            codes="ACCOUNT_THROTTLED ACCOUNT_DAILY_QUOTA_EXCEEDED",
        ),
        rule(UNAVAILABLE, "a temporary issue of the vendor's", codes="TRANSIENT_FAILURE"),
        rule(
            TOO_LARGE,
            "the message exceeds 40 MB",
            codes="BadRequestException InvalidParameterValue ValidationException",
            text="length|too large|size",
        ),
        rule(
            ADDRESS,
            "the recipient's address is not valid",
            codes="BadRequestException InvalidParameterValue",
            text="address|domain|@",
        ),
        rule(
            REJECTED,
            "the input is not valid",
            codes="BadRequestException InvalidParameterValue ValidationException",
        ),
        *aws_account.RULES,
    ),
)
