"""Settings of a provider account."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tidings.settings.section import Texts
from tidings.settings.trying import BreakerChanges, RateText, RetryChanges


def _countries(listed: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [one for one in listed if not re.fullmatch("[A-Za-z]{2}", one)]:
        raise ValueError(f"allowed are countries of two letters, as DE (ISO 3166): {wrong[0]!r}")
    return tuple(one.upper() for one in listed)


class AccountSettings(BaseModel):
    """A provider account; beside these, the fields of its provider's manifest."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    provider: str
    channels: Texts | None = None
    confirms_delivery: bool | None = None
    timeout: Annotated[float, Field(gt=0, le=600)] = 10
    order: Annotated[int, Field(ge=0, le=1000)] = 0
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1
    categories: Texts = ()
    countries: Annotated[Texts, AfterValidator(_countries)] = ()
    sender_domains: Texts = ()
    rate: RateText | None = None
    retry: RetryChanges = RetryChanges()
    breaker: BreakerChanges = BreakerChanges()

    @property
    def values(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Which fields are secret only the provider's manifest knows, so none is shown.
        return [("provider", self.provider), ("channels", self.channels), ("timeout", self.timeout)]
