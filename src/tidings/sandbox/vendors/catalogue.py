"""The vendors that the sandbox stands in for."""

from tidings.sandbox.vendor import Vendor
from tidings.sandbox.vendors.apns import APNS
from tidings.sandbox.vendors.discord import DISCORD
from tidings.sandbox.vendors.fcm import FCM
from tidings.sandbox.vendors.mailgun import MAILGUN
from tidings.sandbox.vendors.postmark import POSTMARK
from tidings.sandbox.vendors.resend import RESEND
from tidings.sandbox.vendors.sendgrid import SENDGRID
from tidings.sandbox.vendors.ses import SES
from tidings.sandbox.vendors.slack import SLACK
from tidings.sandbox.vendors.sns import SNS
from tidings.sandbox.vendors.teams import TEAMS
from tidings.sandbox.vendors.telegram import TELEGRAM
from tidings.sandbox.vendors.twilio import TWILIO
from tidings.sandbox.vendors.vonage import VONAGE
from tidings.sandbox.vendors.webhook import WEBHOOK
from tidings.sandbox.vendors.webpush import WEBPUSH

VENDORS: tuple[Vendor, ...] = (
    SENDGRID,
    MAILGUN,
    SES,
    POSTMARK,
    RESEND,
    TWILIO,
    VONAGE,
    SNS,
    FCM,
    APNS,
    WEBPUSH,
    SLACK,
    DISCORD,
    TEAMS,
    TELEGRAM,
    WEBHOOK,
)
