"""Reads forms that come as multipart/form-data (RFC 7578)."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from urllib.parse import parse_qsl

from tidings.sandbox.calls import Call
from tidings.sandbox.messages import File

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')


@dataclass(frozen=True, slots=True)
class Form:
    """fields: every value of each name. files: by name of the field."""

    fields: Mapping[str, Sequence[str]]
    files: Mapping[str, Sequence[File]]

    def text(self, name: str) -> str:
        return (self.fields.get(name) or [""])[0]


def read_form(call: Call) -> Form:
    """Of either content type that forms come as. Raises ValueError for a body that is none."""
    fields: defaultdict[str, list[str]] = defaultdict(list)
    files: defaultdict[str, list[File]] = defaultdict(list)
    content_type = call.header("content-type")
    if not content_type.startswith("multipart/form-data"):
        for name, value in parse_qsl(call.body.decode(), keep_blank_values=True):
            fields[name].append(value)
        return Form(fields, files)
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("no boundary")
    for part in (b"\r\n" + call.body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        said: Message = BytesHeaderParser().parsebytes(head)
        name = str(said.get_param("name", "", "content-disposition"))
        filename = said.get_filename()
        if filename is None:
            fields[name].append(data.decode())
        else:
            files[name].append(File(filename, said.get_content_type(), data))
    return Form(fields, files)
