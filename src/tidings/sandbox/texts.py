"""Text messages, as vendors see them."""

import re

_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")


def is_number(text: str) -> bool:
    """As vendors check it at the door: the form, not whether it is somebody's."""
    return _NUMBER.fullmatch(text) is not None
