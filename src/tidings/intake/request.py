"""What an application may ask for, as it comes over the wire."""

import functools
import re
from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NaiveDatetime,
    StrictBool,
    field_validator,
    model_validator,
)

from tidings.domain.channels import Channel
from tidings.domain.documents import check_document
from tidings.domain.planning import OnUnknown, Routing
from tidings.domain.priorities import PriorityWord
from tidings.intake.files import ContentId, FileContent, FileName, MediaType

# The plain shape of nearly all addresses; only what differs is worth the library's 20 µs.
_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)
# RFC 3339, 5.6: date-time.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_WALL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
# PostgreSQL's text holds no NUL, and a control character in a name only serves to confuse a log.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _no_control(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("control characters are not allowed")
    return value


def _in_a_path(value: str) -> str:
    # A server has decoded %2F before it looks for its routes, proxies refuse it, and clients resolve dots.
    if "/" in value or value in {".", ".."}:
        raise ValueError("a user id must not contain / and not be . or .., as it is part of URLs")
    return value


def _email(value: str) -> str:
    plain = len(value) <= 254 and _PLAIN_EMAIL.fullmatch(value) and value.index("@") <= 64
    if (
        plain and "xn--" not in value
    ):  # which is put in the form of its script, to be found by either
        return value
    try:
        # example.com and friends are refused as "special use" by default; that is the receiver's matter.
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        # The library's message may hold the address.
        raise ValueError("not a valid email address") from None


_zones = functools.cache(available_timezones)  # reads the whole database each time


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("must be a time zone of the IANA database, such as Europe/Berlin")
    return value


def _document(value: dict[str, Any]) -> dict[str, Any]:
    check_document(value)
    return value


def _rfc3339(value: object) -> object:
    # Left alone, pydantic takes numbers for seconds, and guesses at their unit.
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a time as in RFC 3339, such as 2030-01-31T09:30:00Z")
    return value


def _wall_time(value: object) -> object:
    if not isinstance(value, str) or not _WALL_TIME.fullmatch(value):
        raise ValueError("must be a date and time without offset, such as 2030-01-31T09:30")
    return value


MOST_COPIES = 20
"""In cc, and in bcc; all vendors take 50 recipients of one email."""
MOST_FILES = 20
"""Attached to an email."""

# For the OpenAPI document; the validator's message is clearer than that of a pattern.
_PLAIN: dict[str, JsonValue] = {"pattern": r"^[^\x00-\x1f\x7f]+$"}

Name = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=_PLAIN),
    AfterValidator(_no_control),
]
UserId = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={"pattern": r"^[^/\x00-\x1f\x7f]+$"}),
    AfterValidator(_no_control),
    AfterValidator(_in_a_path),
]
"""A name that can be a segment of a path, percent-encoded."""
TemplateId = Annotated[
    str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
]
Email = Annotated[str, Field(max_length=320), AfterValidator(_email)]
Phone = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""E.164: a plus sign, the country, the number."""
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
"""A point in time as RFC 3339 text, with its offset from UTC."""
WallTime = Annotated[NaiveDatetime, BeforeValidator(_wall_time)]
"""What a clock on a wall shows: a date and a time, without an offset."""
Document = Annotated[dict[str, Any], AfterValidator(_document)]
"""Any JSON object that can be kept unchanged."""
Address = Annotated[
    str,
    Field(min_length=1, max_length=4_096, json_schema_extra=_PLAIN),
    AfterValidator(_no_control),
]
"""Of any channel; the longest are push tokens."""
Locale = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")]
Zone = Annotated[
    str, Field(max_length=64, json_schema_extra={"format": "timezone"}), AfterValidator(_zone)
]
WebUrl = Annotated[str, Field(max_length=2_000, pattern=r"^https?://[^\s\x00-\x1f\x7f]+$")]


def as_stored(channel: Channel, address: str) -> str:
    """The address in the form in which a request with it was stored."""
    if channel is not Channel.EMAIL:
        return address
    try:
        return _email(address)
    except ValueError:
        return address


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Recipient(Wire):
    """Who is told: a known user, addresses, or both; at least one. upsert: what is said of the user here is stored with
    them, too."""

    user_id: UserId | None = None
    email: Email | None = None
    phone: Phone | None = None
    push_tokens: Annotated[list[Address], Field(max_length=100)] = Field(default_factory=list)
    webhook_url: WebUrl | None = None
    chat_url: (
        Annotated[
            str,
            Field(min_length=1, max_length=2_000, json_schema_extra=_PLAIN),
            AfterValidator(_no_control),
        ]
        | None
    ) = None
    locale: Locale | None = None
    timezone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] | None = None
    upsert: StrictBool = False

    @model_validator(mode="after")
    def _can_be_stored(self) -> "Recipient":
        if self.upsert and self.user_id is None:
            raise ValueError("upsert needs a user_id")
        if self.upsert and self.timezone is not None:
            _zone(self.timezone)
        return self


class Content(Wire):
    """What is sent, and how; whoever gets it."""

    template_id: TemplateId
    channel_preferences: Annotated[list[Channel], Field(min_length=1, max_length=6)] | None = None
    data: Document = Field(default_factory=dict)
    priority: PriorityWord = "medium"
    correlation_id: Name | None = None
    routing: Routing = "all"
    collapse_key: Name | None = None
    digest_key: Name | None = None
    on_unknown: OnUnknown | None = None
    metadata: Annotated[
        dict[Name, Annotated[str, Field(max_length=1_000)]], Field(max_length=50)
    ] = Field(default_factory=dict)


class AttachedFile(Wire):
    """A file that goes with an email. content: in Base64. content_type: by the name's ending where it is not said.
    content_id: where the HTML shows it in place, as `<img src="cid:…">`."""

    filename: FileName
    content: FileContent
    content_type: MediaType | None = None
    content_id: ContentId | None = None


class EmailOptions(Wire):
    """What an email has beside its content. cc, bcc: who gets a copy; bcc, unseen by the others."""

    reply_to: Email | None = None
    cc: Annotated[list[Email], Field(max_length=MOST_COPIES)] = Field(default_factory=list)
    bcc: Annotated[list[Email], Field(max_length=MOST_COPIES)] = Field(default_factory=list)
    attachments: Annotated[list[AttachedFile], Field(max_length=MOST_FILES)] = Field(
        default_factory=list
    )

    @field_validator("attachments")
    @classmethod
    def _shown_once(cls, value: list[AttachedFile]) -> list[AttachedFile]:
        shown = [one.content_id for one in value if one.content_id is not None]
        if len(set(shown)) < len(shown):
            raise ValueError("two files have the same content_id")
        return value


class RepeatableRequest(Content):
    """What is sent, to whom and how: all that can be the same each time. email: for the channel email alone."""

    recipient: Recipient
    email: EmailOptions | None = None


class Times(Wire):
    """When it is sent, once. send_at_local: when clocks show this time where the recipient is."""

    send_at: Moment | None = None
    send_at_local: WallTime | None = None
    expires_at: Moment | None = None
    idempotency_key: Name | None = None

    @field_validator("send_at", "send_at_local", "expires_at")
    @classmethod
    def _sane_year(cls, value: datetime | None) -> datetime | None:
        if value is not None and not 2000 <= value.year <= 2200:
            raise ValueError("must be between the years 2000 and 2200")
        return value

    @model_validator(mode="after")
    def _is_sent_at_one_time(self) -> Self:
        if self.send_at is not None and self.send_at_local is not None:
            raise ValueError("send_at and send_at_local exclude each other")
        return self

    @model_validator(mode="after")
    def _expires_after_it_is_sent(self) -> Self:
        if self.send_at and self.expires_at and self.expires_at <= self.send_at:
            raise ValueError("expires_at must be later than send_at")
        return self


class SendRequest(RepeatableRequest, Times):
    """One notification to one recipient."""

    @model_validator(mode="after")
    def _has_a_clock_to_go_by(self) -> Self:
        zone = self.recipient.timezone
        if self.send_at_local is not None and zone is not None and zone not in _zones():
            raise ValueError(
                "recipient.timezone must be one of the IANA database for send_at_local"
            )
        return self
