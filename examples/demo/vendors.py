"""The second act: every vendor, played by the sandbox, and what each gets."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from examples.demo.scenes import Expected, Scene
from tidings.domain.channels import Channel
from tidings.sandbox.messages import Sent
from tidings.sandbox.running import Options, Running
from tidings.sandbox.settings_text import settings_text
from tidings.sandbox.vendors import apns, webpush
from tidings.sandbox.vendors.catalogue import VENDORS

_KNOWN = {vendor.name: vendor for vendor in VENDORS}
_TOKEN = "fGh7-token-of-a-phone"  # noqa: S105 - of a device
_JOHN = "john.doe@example.com"
_CONTENT: Mapping[Channel, Mapping[str, Any]] = {
    Channel.EMAIL: {
        "subject": "Hello by {{ vendor }}",
        "html": "<h1>Hello</h1><p>This came by way of <b>{{ vendor }}</b>.</p>",
    },
    Channel.SMS: {"body": "Hello by {{ vendor }}"},
    Channel.CHAT: {"body": "Hello by {{ vendor }}"},
    Channel.PUSH: {"title": "Hello", "body": "by way of {{ vendor }}"},
    Channel.WEBHOOK: {"type": "hello"},
}
_SENT = Expected("sent", "provider_accepted")
_ANSWERED = Expected("delivered", "provider_accepted")
_TOLD = Expected("delivered", "confirmed")


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
    return Options(port=0, smtp_port=0, apns_port=0, callbacks=f"http://127.0.0.1:{api_port}")


def settings(sandbox: Running) -> str:
    """Accounts that each take what is meant for them, and nothing else."""
    return settings_text(VENDORS, sandbox.place, lambda name: {"categories": [_category(name)]})


def travels(sandbox: Running) -> Sequence[Travel]:
    """Through each vendor; and to recipients for whom it goes otherwise."""
    accounts = tomllib.loads(settings(sandbox))["accounts"]
    usual = [_usual(sandbox, name, account) for name, account in accounts.items()]
    return [
        *usual,
        _special(sandbox, "sendgrid", "throttle", Expected("delivered", "confirmed", attempts=2)),
        _special(sandbox, "postmark", "invalid", Expected("failed", "address_invalid")),
        _special(sandbox, "mailgun", "bounce", Expected("bounced", "bounced_hard")),
        _special(sandbox, "resend", "click", _TOLD),
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
            ", ".join(f"{event.happening} {_told(event.answer)}" for event in one.events),
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


def _told(answer: str) -> str:
    """Whether Tidings has taken it."""
    return "✓" if answer == "HTTP 200" else answer


def _is_of(message: Sent, travel: Travel) -> bool:
    return message.vendor == travel.vendor and travel.address in ("", *message.recipients)


def _usual(sandbox: Running, name: str, account: Mapping[str, str]) -> Travel:
    """To a person; or to the webhook or chat that the account names, for each vendor has its own."""
    vendor = _KNOWN.get(name)
    if vendor is None:
        return Travel(name, "SMTP", Channel.EMAIL, _JOHN, _SENT, {"email": _JOHN})
    expected = _SENT if vendor.tells is None else _TOLD
    if vendor.channel is Channel.EMAIL:
        return Travel(name, vendor.title, vendor.channel, _JOHN, expected, {"email": _JOHN})
    if vendor.channel is Channel.SMS:
        recipient = {"phone": "+12025550100"}
    elif vendor.channel is Channel.PUSH:
        tokens = [_token(sandbox, name)]
        return Travel(name, vendor.title, vendor.channel, "", expected, {"push_tokens": tokens})
    elif vendor.channel is Channel.WEBHOOK:
        expected, recipient = _ANSWERED, {"webhook_url": account["url"]}
    else:
        recipient = {"chat_url": account.get("url") or account["chat"]}
    return Travel(name, vendor.title, vendor.channel, "", expected, recipient)


def _token(sandbox: Running, name: str) -> str:
    """A device's, as the service writes it."""
    if name == webpush.NAME:
        url = sandbox.place.at(name)
        return json.dumps(webpush.subscription(url, "phone-7"))
    return "5ecc" * 16 if name == apns.NAME else _TOKEN


def _special(sandbox: Running, name: str, fate: str, expected: Expected) -> Travel:
    """The address is another one at each start: what bounces is not sent to again."""
    vendor = _KNOWN[name]
    address = f"{fate}+{sandbox.place.url.rpartition(':')[2]}@example.com"
    return Travel(name, vendor.title, vendor.channel, address, expected, {"email": address})


def _category(vendor: str) -> str:
    return f"via_{vendor}"
