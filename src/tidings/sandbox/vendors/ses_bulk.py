"""Amazon SES's SendBulkEmail, with a template inside the call: an email for each entry, and a result for each.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html
https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-api.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tidings.sandbox.mails import attached
from tidings.sandbox.messages import Content

MOST = 50
_MOST_BYTES = 1_000_000
_MOST_HEADERS = 15
_LONGEST_DATA = 262_144
_SET_BY_SES = frozenset(
    [
        "bcc",
        "cc",
        "content-disposition",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "reply-to",
        "return-path",
        "subject",
        "to",
    ]
)
_TAG = re.compile(r"\{\{\{?(.*?)\}?\}\}", re.DOTALL)
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*")


class BadCallError(Exception):
    """The call is not taken. kind: of the error."""

    def __init__(self, message: str, kind: str = "BadRequestException", status: int = 400) -> None:
        super().__init__(message)
        self.message, self.kind, self.status = message, kind, status


@dataclass(frozen=True)
class Filled:
    """What one entry's email is made of."""

    parts: Mapping[str, str]
    values: Mapping[str, Any]
    headers: Mapping[str, str]
    files: Sequence[Mapping[str, Any]]

    def content(self) -> Content:
        return Content(
            subject=self._filled("Subject"),
            text=self._filled("Text"),
            html=self._filled("Html"),
            files=[
                attached(
                    one["FileName"],
                    one.get("ContentType") or "application/octet-stream",
                    one["RawContent"],
                    one.get("ContentId"),
                )
                for one in self.files
            ],
            shown=self.headers,
        )

    def _filled(self, name: str) -> str:
        """Values are data: what is in them is neither escaped nor read again."""
        return _TAG.sub(lambda tag: str(self.values[tag[1].strip()]), self.parts.get(name) or "")


def checked(mail: Mapping[str, Any], body: bytes) -> Mapping[str, Any]:
    """The template of a call. Raises BadCallError."""
    entries = mail.get("BulkEmailEntries")
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST:
        raise BadCallError(f"The number of entries is not from 1 to {MOST}.")
    if len(body) > _MOST_BYTES:
        raise BadCallError("The request exceeds 1 MB.")
    template: Mapping[str, Any] = (mail.get("DefaultContent") or {}).get("Template") or {}
    if template.get("TemplateName") or template.get("TemplateArn"):
        raise BadCallError("The template does not exist.", "NotFoundException", 404)
    parts = template.get("TemplateContent") or {}
    if not parts.get("Subject") or not (parts.get("Text") or parts.get("Html")):
        raise BadCallError("TemplateContent is required: Subject, and Text or Html.")
    tags = [tag[1] for part in parts.values() for tag in _TAG.finditer(part)]
    if not all(map(_NAME.fullmatch, tags)):
        raise BadCallError("Template contains unsupported operations.")
    _data(template.get("TemplateData"))
    for one in (template, *entries):
        _check_headers(one.get("Headers") or one.get("ReplacementHeaders") or ())
    return template


def filled(template: Mapping[str, Any], entry: Mapping[str, Any]) -> Filled | None:
    """None where a value is missing: Amazon takes such an email, and then does not send it. Raises BadCallError."""
    replacement = (entry.get("ReplacementEmailContent") or {}).get("ReplacementTemplate") or {}
    data = _data(replacement.get("ReplacementTemplateData"))
    values = {**_data(template.get("TemplateData")), **data}
    parts = template["TemplateContent"]
    wanted = {tag[1].strip() for part in parts.values() for tag in _TAG.finditer(part)}
    if not wanted <= values.keys():
        return None
    own = entry.get("ReplacementHeaders") or ()
    headers = {
        one["Name"].lower(): (one["Name"], one["Value"])
        for one in (*(template.get("Headers") or ()), *own)
    }
    return Filled(parts, values, dict(headers.values()), template.get("Attachments") or ())


def _data(text: Any) -> Mapping[str, Any]:
    if text is None:
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or len(text) > _LONGEST_DATA:
        raise BadCallError("The template data is invalid.")
    return found


def _check_headers(headers: Sequence[Mapping[str, str]]) -> None:
    if len(headers) > _MOST_HEADERS:
        raise BadCallError(f"There are more than {_MOST_HEADERS} headers.")
    for one in headers:
        name, value = one["Name"], one["Value"]
        fits = 0 < len(name) <= 126 and 0 < len(value) <= 995 and len(name) + len(value) <= 996
        if not fits or not value.isascii() or not value.isprintable():
            raise BadCallError("A header is too long, or not printable ASCII.")
        if name.lower() in _SET_BY_SES:
            raise BadCallError("A header that SES sets itself is not allowed.")
