"""What every section of the settings shares."""

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator


class SettingsError(Exception):
    """A setting is wrong; the message names it, what was seen and what is allowed."""


def _listed(value: object) -> object:
    """A list from the environment: JSON, or with commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        # Left alone, pydantic takes true for 1.
        wanted = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and wanted in {int, float}:
            raise ValueError("Input should be a number")
        return value
