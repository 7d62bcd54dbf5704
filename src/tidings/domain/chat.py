"""Chat addresses: which service one belongs to."""

from urllib.parse import urlsplit

SLACK, DISCORD, TEAMS, TELEGRAM, OTHER = "slack", "discord", "teams", "telegram", "other"

_HOSTS = {
    "hooks.slack.com": SLACK,
    "hooks.slack-gov.com": SLACK,
    "discord.com": DISCORD,
    "discordapp.com": DISCORD,
    "ptb.discord.com": DISCORD,
    "canary.discord.com": DISCORD,
}
_TEAMS = (".webhook.office.com", ".logic.azure.com", ".environment.api.powerplatform.com")


def service_of(address: str) -> str:
    """slack, discord and teams by the host of their webhooks, telegram by `telegram:`; all else is other."""
    if address.startswith("telegram:"):
        return TELEGRAM
    if not address.startswith("https://"):
        return OTHER
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:  # an IPv6 address that is none
        return OTHER
    return TEAMS if host.endswith(_TEAMS) else _HOSTS.get(host, OTHER)
