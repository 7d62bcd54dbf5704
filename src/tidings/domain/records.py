"""Records of the hot path: values that nobody changes, of which thousands are made each second."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Made = TypeVar("Made")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[Made]) -> type[Made]:
    """A dataclass that the type checker holds frozen. At run time it is not: a frozen one sets each field by a call,
    and takes several times as long to make."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
