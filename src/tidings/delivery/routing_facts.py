"""What the choice of an account may depend on."""

from tidings.domain.channels import Channel
from tidings.domain.phones import country_of
from tidings.domain.routing import Facts, needed, service_at
from tidings.store.deliveries import Work


def facts_of(work: Work) -> Facts:
    """Cheap enough to be asked for each delivery: numbers are only read where there are any."""
    sender_domain = work.sender.domain if work.sender else None
    return Facts(
        category=work.category,
        country=country_of(work.address) if work.channel is Channel.SMS else None,
        sender_domain=sender_domain,
        service=service_at(work.channel, work.address),
        needs=needed(work.channel, work.payload),
    )
