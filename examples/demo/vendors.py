"""The second act: every vendor, played by the sandbox, and what each gets."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from examples.demo.scenes import Expected, Scene
from tidings.domain.channels import Channel
from tidings.sandbox.messages import Sent
from tidings.sandbox.running import Options, Running
from tidings.sandbox.settings_text import settings_text
from tidings.sandbox.vendors.catalogue import VENDORS

_SMTP = "smtp"
_CONTENT: Mapping[Channel, Mapping[str, Any]] = {
    Channel.EMAIL: {
        "subject": "Hello by way of {{ vendor }}",
        "html": "<h1>Hello</h1><p>This came by way of <b>{{ vendor }}</b>.</p>",
    },
    Channel.SMS: {"body": "Hello by way of {{ vendor }}"},
    Channel.CHAT: {"body": "Hello by way of {{ vendor }}"},
    Channel.PUSH: {"title": "Hello", "body": "by way of {{ vendor }}"},
    Channel.WEBHOOK: {"type": "hello"},
}
_SENT = Expected("sent", "provider_accepted")
_THROTTLED = Expected("sent", "provider_accepted", attempts=2)
_REFUSED = Expected("failed", "address_invalid")
_CONFIRMED = Expected("delivered", "provider_accepted")


@dataclass(frozen=True)
class Travel:
    """One notification through one vendor. address: as the vendor has it; empty where it has another one."""

    vendor: str
    title: str
    channel: Channel
    address: str
    expected: Expected
    recipient: Mapping[str, Any] = field(repr=False)

    @property
    def template_id(self) -> str:
        return f"via_{self.vendor}"

    @property
    def template(self) -> Mapping[str, Any]:
        """Its category makes it go through this vendor's account, and no other one."""
        return {
            "name": f"By way of {self.title}",
            "category": _category(self.vendor),
            "content": {self.channel: _CONTENT[self.channel]},
        }

    @property
    def scene(self) -> Scene:
        request = {
            "template_id": self.template_id,
            "recipient": self.recipient,
            "channel_preferences": [self.channel],
            "data": {"vendor": self.title},
        }
        return Scene(f"{self.channel} by {self.title}", request, {self.channel: self.expected})


def options(api_port: int) -> Options:
    """For a sandbox on ports that are free, which calls back."""
    return Options(port=0, smtp_port=0, callbacks=f"http://127.0.0.1:{api_port}")


def settings(sandbox: Running) -> str:
    """Accounts that each take what is meant for them, and nothing else."""
    return settings_text(VENDORS, sandbox.place, lambda name: {"categories": [_category(name)]})


def travels(sandbox: Running) -> Sequence[Travel]:
    """Through each vendor; and what one of them refuses, and one takes at the second try."""
    accounts = tomllib.loads(settings(sandbox))["accounts"]
    named = {vendor.name: (vendor.title, vendor.channel) for vendor in VENDORS}
    known = {**named, _SMTP: ("SMTP", Channel.EMAIL)}
    usual = [_travel(name, *known[name], account) for name, account in accounts.items()]
    return [
        *usual,
        _travel("sendgrid", *known["sendgrid"], {}, "throttle", _THROTTLED),
        _travel("postmark", *known["postmark"], {}, "invalid", _REFUSED),
    ]


def taken(sandbox: Running, sent: Sequence[Travel]) -> Sequence[Sequence[str]]:
    """Title, channel, recipient, message and what became of it, of each."""
    titles = {one.vendor: one.title for one in sent}
    messages = sorted(sandbox.desk.kept.newest(), key=lambda one: one.number)
    return [
        (
            titles[one.vendor],
            one.channel,
            one.recipients[0],
            one.content.subject or one.content.text,
            ", ".join(event.happening for event in one.events),
        )
        for one in messages
    ]


def mistakes(sandbox: Running, sent: Sequence[Travel]) -> Iterator[str]:
    """What is wrong with what the vendors got, a line each."""
    for travel in sent:
        came = [one for one in sandbox.desk.kept.newest() if _is_of(one, travel)]
        wanted = 0 if travel.expected.status == "failed" else 1
        if len(came) != wanted:
            yield f"{travel.title} got {len(came)} messages for {travel.address}, not {wanted}"
    more = sandbox.desk.kept.taken - sum(one.expected.status != "failed" for one in sent)
    if more:
        yield f"the vendors got {more} messages that nobody sent"


def _is_of(message: Sent, travel: Travel) -> bool:
    return message.vendor == travel.vendor and travel.address in ("", *message.recipients)


def _travel(
    vendor: str,
    title: str,
    channel: Channel,
    account: Mapping[str, str],
    fate: str = "john.doe",
    expected: Expected = _SENT,
) -> Travel:
    """To a person; or to the webhook or chat that the account names, for each vendor has its own."""
    if channel is Channel.EMAIL:
        address = f"{fate}@example.com"
        return Travel(vendor, title, channel, address, expected, {"email": address})
    if channel is Channel.SMS:
        return Travel(vendor, title, channel, "", expected, {"phone": "+12025550100"})
    if channel is Channel.WEBHOOK:
        return Travel(vendor, title, channel, "", _CONFIRMED, {"webhook_url": account["url"]})
    chat = account.get("url") or account["chat"]
    return Travel(vendor, title, channel, "", expected, {"chat_url": chat})


def _category(vendor: str) -> str:
    return f"via_{vendor}"
