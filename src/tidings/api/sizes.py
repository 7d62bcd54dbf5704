"""How large a notification may be on the wire: its files, and all the rest."""

from collections.abc import Sequence

from tidings.api.problems import Code, FieldError, Problem
from tidings.intake.attaching import files_of
from tidings.intake.request import MOST_FILES, AttachedFile, EmailOptions
from tidings.settings import ApiSettings


def largest_notification(settings: ApiSettings) -> int:
    """Bytes that one may have with its files."""
    return settings.max_body + _encoded(settings.max_attachments) + 4 * MOST_FILES


def check_size(
    email: EmailOptions | None, size: int, settings: ApiSettings, what: str = "The body"
) -> None:
    """size: bytes of the whole. what: for the sentence. Raises Problem."""
    files = files_of(email)
    check_files(files, settings)
    rest = size - sum(_encoded(len(one.content)) for one in files)
    if rest > settings.max_body:
        beside = " beside the files" if files else ""
        most = f"{what} may have at most {settings.max_body} bytes{beside}."
        raise Problem(Code.BODY_TOO_LARGE, most)


def check_files(files: Sequence[AttachedFile], settings: ApiSettings) -> None:
    """Raises Problem."""
    size = sum(len(one.content) for one in files)
    if size > settings.max_attachments:
        most = f"The files may have {settings.max_attachments} bytes together, and have {size}."
        where = [FieldError(path="email.attachments", message="too large together")]
        raise Problem(Code.ATTACHMENTS_TOO_LARGE, most, where)


def _encoded(size: int) -> int:
    """Characters of Base64, with padding."""
    return -(-size // 3) * 4
