"""Whole numbers in a body, as JSON has them."""


def whole_number(value: object) -> object:
    """For a BeforeValidator: left alone, pydantic takes "1" and true for 1."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic wants this one
    return value
