"""What the choice of an account may depend on."""

import phonenumbers

from tidings.domain.channels import Channel
from tidings.domain.routing import Facts, service_at
from tidings.store.deliveries import Work


def facts_of(work: Work) -> Facts:
    """Cheap enough to be asked for each delivery: numbers are only read where there are any."""
    sender_domain = work.sender.domain if work.sender else None
    return Facts(
        category=work.category,
        country=country_of(work),
        sender_domain=sender_domain,
        service=service_at(work.channel, work.address),
    )


def country_of(work: Work) -> str | None:
    """Where the recipient's phone is from, ISO 3166."""
    if work.channel is not Channel.SMS:
        return None
    try:
        number = phonenumbers.parse(work.address)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.region_code_for_number(number)
