"""The files of an email: what the notification tells of them, and whether they can be sent at all."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tidings.domain.attached import media_type_of
from tidings.domain.provider import Feature
from tidings.intake.copying import copies_of
from tidings.intake.refusals import Refusal, RefusalCode
from tidings.intake.request import AttachedFile, EmailOptions

NO_FILES: Sequence[AttachedFile] = ()

_REFUSED: Mapping[Feature, tuple[RefusalCode, str]] = {
    "cc and bcc": (
        RefusalCode.COPIES_NOT_SUPPORTED,
        "No account for email can send to cc and bcc.",
    ),
    "attachments": (
        RefusalCode.ATTACHMENTS_NOT_SUPPORTED,
        "No account for email can send files.",
    ),
    "inline files": (
        RefusalCode.ATTACHMENTS_NOT_SUPPORTED,
        "No account for email can show files within the message.",
    ),
}


def files_of(options: EmailOptions | None) -> Sequence[AttachedFile]:
    return NO_FILES if options is None else options.attachments


def listed(options: EmailOptions | None) -> Mapping[str, Any]:
    """The files as the sealed payload holds them: all but their content."""
    files = [
        {
            "filename": one.filename,
            "content_type": one.content_type or media_type_of(one.filename),
            "content_id": one.content_id,
            "size": len(one.content),
        }
        for one in files_of(options)
    ]
    return {"attachments": files} if files else {}


def unserved(
    options: EmailOptions | None, accounts: Sequence[Collection[Feature]]
) -> Refusal | None:
    """Why a request with these cannot be served. accounts: what each account for email passes on."""
    asked = _asked(options) if options is not None else {}
    if not asked or any(asked.keys() <= set(one) for one in accounts):
        return None
    for feature, path in asked.items():
        if not any(feature in one for one in accounts):
            code, detail = _REFUSED[feature]
            return Refusal(code, detail, path)
    together = f"No account for email passes on all of these: {', '.join(asked)}."
    return Refusal(RefusalCode.ATTACHMENTS_NOT_SUPPORTED, together, "email")


def _asked(options: EmailOptions) -> dict[Feature, str]:
    """By what an account must pass on, the field that asks for it."""
    asked: dict[Feature, str] = {}
    if copies_of(options):
        asked["cc and bcc"] = "email.cc" if options.cc else "email.bcc"
    for number, one in enumerate(options.attachments):
        feature: Feature = "attachments" if one.content_id is None else "inline files"
        asked.setdefault(feature, f"email.attachments.{number}")
    return asked
