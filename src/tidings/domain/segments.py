"""How many parts a text message takes on the air, which is what it costs.

GSM 03.38 (3GPP TS 23.038, 6.2.1) where every character is in its alphabet, else UCS-2; a message of
several parts gives up some room in each for the header that joins them (3GPP TS 23.040, 9.2.3.24.1).
"""

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["gsm7", "ucs2"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Characters that take two places: an escape, and one of the extension table."""
_GSM = _BASIC | _EXTENDED


@dataclass(frozen=True, slots=True)
class Segments:
    """units: septets, or 16-bit units, that the text takes. parts: messages on the air."""

    encoding: Encoding
    units: int
    parts: int


def segments(text: str) -> Segments:
    """Count a text; an empty one takes one part.

    A character of two units is never cut in half between two parts, which may leave a unit unused.
    """
    characters = frozenset(text)
    if characters <= _GSM:
        return _counted("gsm7", text, characters & _EXTENDED, alone=160, joined=153)
    beyond = frozenset(character for character in characters if character > "\uffff")
    return _counted("ucs2", text, beyond, alone=70, joined=67)


def foreign_to_gsm(text: str) -> str:
    """The characters, each once and in their order, that the GSM alphabet does not have: because of
    them the text takes UCS-2, and so more parts."""
    return "".join(dict.fromkeys(one for one in text if one not in _GSM))


def _counted(
    encoding: Encoding, text: str, wide: frozenset[str], *, alone: int, joined: int
) -> Segments:
    """wide: characters of two units. alone: units in the only part; joined: units in each of several."""
    units = len(text) + sum(map(text.count, wide))
    if units <= alone:
        return Segments(encoding, units, 1)
    parts, used = 1, 0
    for character in text:
        width = 2 if character in wide else 1
        if used + width > joined:
            parts, used = parts + 1, 0
        used += width
    return Segments(encoding, units, parts)
