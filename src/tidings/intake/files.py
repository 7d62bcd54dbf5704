"""A file of an email, as it comes over the wire."""

import base64
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)

from tidings.domain.attached import (
    LONGEST_NAME,
    check_content_id,
    check_filename,
    check_media_type,
)

# For the OpenAPI document; the validator's message is clearer than that of a pattern.
_FILE_NAME: dict[str, JsonValue] = {"pattern": r"^[^/\\\x00-\x1f\x7f]+$"}


def _file_name(value: str) -> str:
    # A receiver's program might take what comes before it for a folder.
    if "/" in value or "\\" in value or value in {".", ".."}:
        raise ValueError("must be a file's name, without folders")
    return check_filename(value)


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be the file in Base64")  # noqa: TRY004 - pydantic makes a refusal of this one alone
    try:
        content = base64.b64decode(value, validate=True)
    except ValueError:
        raise ValueError(
            "must be the file in Base64, with padding and without line breaks"
        ) from None
    if not content:
        raise ValueError("the file is empty")
    return content


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


FileName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, json_schema_extra=_FILE_NAME),
    AfterValidator(_file_name),
]
FileContent = Annotated[
    bytes,
    Field(repr=False),
    BeforeValidator(_decoded),
    PlainSerializer(_encoded, when_used="json"),
    WithJsonSchema({"type": "string", "minLength": 4, "contentEncoding": "base64"}),
]
"""A file's bytes; on the wire in Base64 (RFC 4648, 4), padded."""
MediaType = Annotated[str, Field(max_length=160), AfterValidator(check_media_type)]
ContentId = Annotated[str, Field(max_length=200), AfterValidator(check_content_id)]
