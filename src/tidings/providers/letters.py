"""An email as the vendors' APIs want it: addresses read, headers checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidings.domain.attached import check_content_id, check_filename, check_media_type
from tidings.domain.mail_headers import check_header_name
from tidings.domain.messages import Attachment, EmailContent, Message
from tidings.domain.outcomes import Permanent
from tidings.domain.provider import Account, Field
from tidings.domain.reasons import Reason
from tidings.providers.headers import one_line
from tidings.providers.mailbox import AddressError, Mailbox, parse_mailbox, wire_address
from tidings.settings import SettingsError

FROM = Field(
    "from",
    "Sender of every message, e.g. Shop <shop@example.com>; the vendor must have verified it.",
    required=True,
)


@dataclass(frozen=True, slots=True)
class Letter:
    """sender: None for the account's own. tags: the category first. metadata: what comes back with the vendor's reports; by `delivery_id`
    a report is matched to its delivery."""

    delivery_id: str
    content: EmailContent = field(repr=False)
    to: Mailbox
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    sender: Mailbox | None
    reply_to: Mailbox | None
    headers: Mapping[str, str] = field(repr=False)
    tags: tuple[str, ...]
    metadata: Mapping[str, str] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of the bodies and attachments, about: characters count as one each."""
        content = self.content
        bodies = len(content.text) + len(content.html or "")
        return bodies + sum(len(one.data) for one in content.attachments)


def read_letter(message: Message) -> Letter | Permanent:
    """Check what would make any vendor refuse it, or worse, take it for something else."""
    content = message.content
    if not isinstance(content, EmailContent):
        return Permanent(Reason.CONTENT_REJECTED, detail="not an email")
    try:
        to = Mailbox("", wire_address(message.address))
    except AddressError as error:
        return Permanent(Reason.ADDRESS_INVALID, detail=str(error))
    try:
        cc, bcc = (tuple(map(parse_mailbox, given)) for given in (content.cc, content.bcc))
        sender = parse_mailbox(content.sender) if content.sender else None
        reply_to = parse_mailbox(content.reply_to) if content.reply_to else None
        headers = checked_headers(content.headers)
        check_attachments(content.attachments)
        _check_encodable(message, content)
    except UnicodeEncodeError:  # its text would show what it could not encode
        return Permanent(Reason.CONTENT_REJECTED, detail="a lone surrogate in a text")
    except ValueError as error:  # AddressError among them: not the recipient's address
        return Permanent(Reason.CONTENT_REJECTED, detail=str(error))
    return Letter(
        delivery_id=str(message.delivery_id),
        content=content,
        to=to,
        cc=cc,
        bcc=bcc,
        sender=sender,
        reply_to=reply_to,
        headers=headers,
        tags=tuple(dict.fromkeys(filter(None, (message.category, *content.tags)))),
        metadata={
            **message.metadata,
            "delivery_id": str(message.delivery_id),
            "notification_id": str(message.notification_id),
        },
    )


def _check_encodable(message: Message, content: EmailContent) -> None:
    """Raises UnicodeEncodeError for a lone surrogate, which would spoil a whole batch later."""
    texts = [content.subject, content.text, content.html or "", message.category, *content.tags]
    texts += [text for pair in message.metadata.items() for text in pair]
    "".join(texts).encode()


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers, each on one line. Raises ValueError for a name that a template may not use."""
    for name in headers:
        check_header_name(name)
    return {name: one_line(value) for name, value in headers.items()}


def check_attachments(attachments: Sequence[Attachment]) -> None:
    """Raises ValueError for what no mail can hold."""
    for one in attachments:
        check_media_type(one.content_type)
        check_filename(one.filename)
        if one.content_id is not None:
            check_content_id(one.content_id)


def read_sender(account: Account) -> Mailbox:
    """The account's `from`. Raises SettingsError."""
    try:
        return parse_mailbox(account.text("from"))
    except AddressError as error:
        raise SettingsError(
            f"accounts.{account.name}.from: {error}; it should look like Shop <shop@example.com>"
        ) from None


def shown(mailbox: Mailbox) -> str:
    """As `Name <address>` in Unicode, for APIs that encode it themselves."""
    name = one_line(mailbox.name).strip()
    if not name:
        return mailbox.address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{mailbox.address}>'
