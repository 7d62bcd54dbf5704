"""Amazon SES and SNS: what they are asked, signed how, and what their answers become."""

import base64
import email as mail
import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta
from email import policy
from urllib.parse import parse_qsl

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import get_session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.http_server import Received
from tests.providers.vendor_answers import SES_TAKEN, SNS_TAKEN, ses_refusal, sns_refusal
from tests.providers.vendors import NOTIFICATION, Reply, delivery, email, exchange, sms
from tidings.domain.channels import Channel
from tidings.domain.messages import Attachment, EmailContent
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Account, FieldValue
from tidings.domain.reasons import Reason
from tidings.providers.aws import LASTS, Signer
from tidings.providers.refusals import Table
from tidings.providers.ses import verdicts as ses
from tidings.providers.sns import verdicts as sns
from tidings.settings import SettingsError

KEYS: dict[str, FieldValue] = {
    "region": "eu-west-1",
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
SES: dict[str, FieldValue] = {**KEYS, "from": "Shop <shop@example.com>"}
SNS: dict[str, FieldValue] = {**KEYS, "from": ("US=+15005550006", "GB=ACME")}


def signature(received: Received, service: str) -> str:
    """Signature Version 4 by its description, worked out anew.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    given = received.headers["authorization"]
    names = re.findall(r"SignedHeaders=([^,]+)", given)[0].split(";")
    canonical = "\n".join(
        [
            received.method,
            received.target,
            "",
            *(f"{name}:{received.headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(received.body).hexdigest(),
        ]
    )
    moment = received.headers["x-amz-date"]
    scope = f"{moment[:8]}/eu-west-1/{service}/aws4_request"
    assert f"Credential=AKIDEXAMPLE/{scope}" in given
    text = "\n".join(
        ["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = b"AWS4" + str(KEYS["secret_access_key"]).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@pytest.mark.parametrize("service", ["ses", "sns"])
def test_calls_are_signed(service: str) -> None:
    values, message, taken = (
        (SES, email(), SES_TAKEN) if service == "ses" else (SNS, sms(), SNS_TAKEN)
    )
    _, [received] = exchange(service, values | {"session_token": "st"}, [message], taken)
    assert received.headers["authorization"].endswith(f"Signature={signature(received, service)}")
    assert received.headers["x-amz-security-token"] == "st"
    assert "x-amz-security-token" in received.headers["authorization"]


def test_an_email_is_composed_by_us() -> None:
    content = EmailContent(
        "Grüße",
        "Shipped",
        "<p>Shipped</p>",
        reply_to="Help <help@example.com>",
        cc=("Carol <carol@example.com>",),
        bcc=("archive@example.com",),
        headers={"List-Unsubscribe": "<https://example.com/u/1>"},
        attachments=(Attachment("invoice.pdf", "application/pdf", b"%PDF"),),
        tags=("spring sale",),
    )
    message = email(0, content, category="shop", metadata={"order": "o/1"})
    values = {**SES, "configuration_set": "reports"}
    [outcome], [received] = exchange("ses", values, [message], SES_TAKEN)
    assert outcome == Accepted("0102018f-aaaa-000000", detail="HTTP 200")
    assert (received.method, received.target) == ("POST", "/v2/email/outbound-emails")
    body = json.loads(received.body)
    raw = base64.b64decode(body.pop("Content")["Raw"]["Data"])
    assert body == {
        "FromEmailAddress": "shop@example.com",
        "Destination": {
            "ToAddresses": ["number-0@hidden.example"],
            "CcAddresses": ["carol@example.com"],
            "BccAddresses": ["archive@example.com"],
        },
        "EmailTags": [
            {"Name": "delivery_id", "Value": str(delivery(0))},
            {"Name": "notification_id", "Value": str(NOTIFICATION)},
            {"Name": "shop", "Value": "yes"},
            {"Name": "spring_sale", "Value": "yes"},
            {"Name": "order", "Value": "o_1"},
        ],
        "ConfigurationSetName": "reports",
    }
    parsed = mail.message_from_bytes(raw, policy=policy.default)
    assert parsed["from"] == "Shop <shop@example.com>"
    assert parsed["to"] == "number-0@hidden.example"
    assert parsed["cc"] == "Carol <carol@example.com>"
    assert parsed["bcc"] is None
    assert parsed["reply-to"] == "Help <help@example.com>"
    assert parsed["subject"] == "Grüße"
    assert parsed["list-unsubscribe"] == "<https://example.com/u/1>"
    assert [part.get_filename() for part in parsed.iter_attachments()] == ["invoice.pdf"]
    chosen = parsed.get_body(("html",))
    assert chosen is not None
    assert chosen.get_content().strip() == "<p>Shipped</p>"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            ses_refusal(400, "BadRequestException", "Local address contains control or whitespace"),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 BadRequestException"),
        ),
        (
            ses_refusal(400, "BadRequestException", "Something else"),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400 BadRequestException"),
        ),
        (
            ses_refusal(400, "MessageRejected:http://internal.amazon.com/x", "Virus"),
            Permanent(Reason.CONTENT_REJECTED, detail="HTTP 400 MessageRejected"),
        ),
        (
            ses_refusal(400, "MessageRejected", "Email address is not verified. a@example.com"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400 MessageRejected"),
        ),
        (
            ses_refusal(400, "SendingPausedException", ""),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 400 SendingPausedException"),
        ),
        (
            Reply(400, {"__type": "com.amazonaws.ses#LimitExceededException"}),
            Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 400 LimitExceededException"),
        ),
        (
            ses_refusal(403, "ExpiredTokenException", "The security token is expired"),
            Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 403 ExpiredTokenException"),
        ),
        (
            ses_refusal(403, "AccessDeniedException", ""),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 403 AccessDeniedException"),
        ),
        (
            ses_refusal(404, "NotFoundException", ""),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 404 NotFoundException"),
        ),
        (
            ses_refusal(429, "TooManyRequestsException", ""),
            Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 429 TooManyRequestsException"),
        ),
        (Reply(500), Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500")),
        (Reply(200, {}), Unknown(Reason.MALFORMED_ANSWER)),
    ],
)
def test_answers_of_ses(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("ses", SES, [email()], reply)
    assert outcomes == [expected]


def test_a_text() -> None:
    values = {**SNS, "max_price": 0.5, "entity_id": "e1", "template_id": "t1"}
    [outcome], [received] = exchange("sns", values, [sms(0, "Code 1234 €")], SNS_TAKEN)
    assert outcome == Accepted("567910cd-659e-55d4-8ccb-5aaf14679dc0", detail="HTTP 200, 1 part")
    assert (received.method, received.target) == ("POST", "/")
    attributes = [
        ("AWS.SNS.SMS.SMSType", "String", "Transactional"),
        ("AWS.MM.SMS.EntityId", "String", "e1"),
        ("AWS.MM.SMS.TemplateId", "String", "t1"),
        ("AWS.SNS.SMS.MaxPrice", "Number", "0.50000"),
        ("AWS.MM.SMS.OriginationNumber", "String", "+15005550006"),
    ]
    asked = parse_qsl(received.body.decode())
    assert sorted(asked) == sorted(
        [
            ("Action", "Publish"),
            ("PhoneNumber", "+14155550000"),
            ("Message", "Code 1234 €"),
            *(
                field
                for number, (name, kind, value) in enumerate(attributes, start=1)
                for field in (
                    (f"MessageAttributes.entry.{number}.Name", name),
                    (f"MessageAttributes.entry.{number}.Value.DataType", kind),
                    (f"MessageAttributes.entry.{number}.Value.StringValue", value),
                )
            ),
            ("Version", "2010-03-31"),
        ]
    )


def test_a_name_as_sender_and_none_at_all() -> None:
    messages = [sms(0, address="+442071838750"), sms(1, address="+33612345678")]
    _, received = exchange("sns", SNS, messages, SNS_TAKEN)
    texts = sorted(one.body.decode() for one in received)
    assert "AWS.SNS.SMS.SenderID" in texts[1]
    assert "ACME" in texts[1]
    assert "SenderID" not in texts[0]
    assert "OriginationNumber" not in texts[0]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            sns_refusal(400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: bad"),
            Permanent(Reason.ADDRESS_INVALID, detail="HTTP 400 InvalidParameter"),
        ),
        (
            sns_refusal(400, "InvalidParameter", "Invalid parameter: Message too long"),
            Permanent(Reason.MESSAGE_TOO_LARGE, detail="HTTP 400 InvalidParameter"),
        ),
        (
            sns_refusal(400, "ParameterValueInvalid", "x"),
            Permanent(Reason.PROVIDER_REJECTED, detail="HTTP 400 ParameterValueInvalid"),
        ),
        (
            sns_refusal(400, "OptedOut", "x"),
            Permanent(Reason.PROVIDER_SUPPRESSED, suppress=True, detail="HTTP 400 OptedOut"),
        ),
        (
            sns_refusal(400, "Throttling", "Rate exceeded"),
            Transient(Reason.PROVIDER_THROTTLED, detail="HTTP 400 Throttling"),
        ),
        (
            sns_refusal(403, "AuthorizationError", "x"),
            Transient(Reason.ACCOUNT_REFUSED, detail="HTTP 403 AuthorizationError"),
        ),
        (
            sns_refusal(403, "SignatureDoesNotMatch", "x"),
            Transient(Reason.CREDENTIALS_REFUSED, detail="HTTP 403 SignatureDoesNotMatch"),
        ),
        (
            sns_refusal(500, "InternalError", "x"),
            Transient(Reason.PROVIDER_UNAVAILABLE, detail="HTTP 500 InternalError"),
        ),
        (Reply(200, "<PublishResponse/>"), Unknown(Reason.MALFORMED_ANSWER)),
    ],
)
def test_answers_of_sns(reply: Reply, expected: Outcome) -> None:
    outcomes, _ = exchange("sns", SNS, [sms()], reply)
    assert outcomes == [expected]


@pytest.mark.parametrize(
    ("service", "operation", "table", "not_ours"),
    [
        ("sesv2", "SendEmail", ses.TABLE, "never"),
        # Of topics and of apps, to neither of which texts are published.
        ("sns", "Publish", sns.TABLE, "KMS.*|EndpointDisabled|PlatformApplicationDisabled"),
    ],
)
def test_each_error_that_amazon_lists_is_in_the_table(
    service: str, operation: str, table: Table, not_ours: str
) -> None:
    """Its own description of the services, which botocore brings along."""
    model = get_session().get_service_model(service).operation_model(operation)
    listed = {one.metadata.get("error", {}).get("code") or one.name for one in model.error_shapes}
    known = {code for rule in table.rules for code in rule.codes}
    assert "MessageRejected" in listed or "InvalidParameter" in listed
    assert {one for one in listed - known if not re.fullmatch(not_ours, one)} == set()


@pytest.mark.parametrize("region", ["", "Europe", "eu-west-1.evil.example/"])
def test_a_region_is_a_region(region: str) -> None:
    with pytest.raises(SettingsError, match="region"):
        exchange("sns", {**SNS, "region": region}, [sms()], SNS_TAKEN)


@given(
    st.binary(max_size=300),
    st.sampled_from(["/", "/v2/email/outbound-emails", "/v2/email/account"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),
    st.sampled_from(["", "a-session-token"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_signed_as_botocore_signs(
    monkeypatch: pytest.MonkeyPatch, body: bytes, path: str, moment: datetime, token: str
) -> None:
    """Whatever the time, which is remembered for a moment."""
    now = 100.0
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)
    values = KEYS | ({"session_token": token} if token else {})
    account = Account("mail", "ses", (Channel.EMAIL,), False, 10.0, values)
    endpoint = "https://email.eu-west-1.amazonaws.com"
    signer = Signer(account, "ses", endpoint, lambda: now)
    keys = (str(values[name]) for name in ("access_key_id", "secret_access_key"))
    plain = SigV4Auth(Credentials(*keys, token or None), "ses", "eu-west-1")
    headers = {"content-type": "application/json"}
    for sent in (body, b"another", body):
        request = AWSRequest("POST", endpoint + path, headers=headers, data=sent)
        plain.add_auth(request)
        expected = {name.lower(): str(value) for name, value in request.headers.items()}
        assert signer.call("POST", path, headers, sent).headers == expected
        if sent != body:
            now += LASTS
            moment += timedelta(days=1)
