"""Who else gets an email: cc, bcc, and where answers go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidings.domain.channels import Channel
from tidings.intake.request import EmailOptions

NO_COPIES: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Addressed:
    """options: of an email, as the sealed payload holds them; empty for none. left_out: whether somebody is not to get a
    copy because their address is suppressed."""

    options: Mapping[str, Any]
    left_out: bool = False


ALONE = Addressed({})


def copies_of(options: EmailOptions | None) -> Sequence[str]:
    """Addresses that get a copy."""
    return NO_COPIES if options is None else (*options.cc, *options.bcc)


def addressed(
    options: EmailOptions | None,
    recipient: Sequence[str],
    suppressed: Collection[tuple[Channel, str]],
) -> Addressed:
    """recipient: the address in `to`. Each address is named once, in whatever case, as vendors demand: who is in `to` gets
    no copy, and who is in cc none by bcc."""
    if options is None:
        return ALONE
    seen = {one.lower() for one in recipient}
    chosen: dict[str, Any] = {"reply_to": options.reply_to} if options.reply_to else {}
    left_out = False
    for name, addresses in (("cc", options.cc), ("bcc", options.bcc)):
        kept = list[str]()
        for address in addresses:
            if (Channel.EMAIL, address) in suppressed:
                left_out = True
            elif address.lower() not in seen:
                seen.add(address.lower())
                kept.append(address)
        if kept:
            chosen[name] = kept
    return Addressed(chosen, left_out)
