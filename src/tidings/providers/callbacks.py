"""What reads the callbacks of an account: one line for each provider that calls back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tidings.domain.callbacks import Callbacks
from tidings.domain.provider import Account
from tidings.providers.http import Http
from tidings.providers.mailgun.callbacks import MailgunCallbacks
from tidings.providers.postmark.callbacks import PostmarkCallbacks
from tidings.providers.resend.callbacks import ResendCallbacks
from tidings.providers.sendgrid.callbacks import SendGridCallbacks
from tidings.providers.ses.callbacks import SesCallbacks
from tidings.providers.twilio.callbacks import TwilioCallbacks
from tidings.providers.vonage.callbacks import VonageCallbacks


@dataclass(frozen=True, slots=True)
class CallbackPorts:
    """What callbacks may need of the rest of Tidings. http: for certificates that vendors publish."""

    http: Http


CallbackFactory: TypeAlias = Callable[[Account, CallbackPorts], Callbacks]
"""For a validated account. Raises SettingsError for values that cannot be used."""

CALLBACKS: Mapping[str, CallbackFactory] = {
    "mailgun": lambda account, ports: MailgunCallbacks(account),
    "postmark": lambda account, ports: PostmarkCallbacks(account),
    "resend": lambda account, ports: ResendCallbacks(account),
    "sendgrid": lambda account, ports: SendGridCallbacks(account),
    "ses": lambda account, ports: SesCallbacks(account, ports.http),
    "twilio": lambda account, ports: TwilioCallbacks(account),
    "vonage": lambda account, ports: VonageCallbacks(account),
}
"""SNS has none: it tells of a text's delivery only in the logs of CloudWatch."""
