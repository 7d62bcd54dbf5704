"""Amazon SES's errors, by the type in the header x-amzn-ErrorType."""

from tidings.providers import aws_account
from tidings.providers.refusals import ACCOUNT, ADDRESS, CONTENT, REJECTED, TOO_LARGE, Table, rule

TABLE = Table(
    "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors",
    (
        rule(
            ACCOUNT,
            "the sender is not verified, or the account is in the sandbox and the recipient is not",
            codes="MessageRejected",
            text="not verified|authori[sz]|authority",
        ),
        rule(CONTENT, "the message has content that is not allowed", codes="MessageRejected"),
        rule(
            ACCOUNT,
            "the sending domain is not verified",
            codes="MailFromDomainNotVerifiedException",
        ),
        rule(
            ACCOUNT,
            "sending is suspended or paused",
            codes="AccountSuspendedException SendingPausedException",
        ),
        rule(ACCOUNT, "the configuration set is not there", codes="NotFoundException"),
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
