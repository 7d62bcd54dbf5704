"""Whether everything came as it should: exactly what was sent, once, unchanged."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from examples.demo.scenes import CONTRACT, Journey
from examples.mail_server import Mail


@dataclass(frozen=True)
class Arrived:
    """What the other sides have. events: verified webhooks, by webhook-id. feed: of the demo's user."""

    mails: Sequence[Mail]
    events: Mapping[str, Any]
    feed: Mapping[str, Any]


def mistakes(journeys: Sequence[Journey], arrived: Arrived) -> list[str]:
    """What is wrong, a line each; none when all is well."""
    return [
        *status_mistakes(journeys),
        *_mails(journeys, arrived.mails),
        *_contract(arrived.mails),
        *_events(journeys, arrived.events),
        *_feed(journeys, arrived.feed),
    ]


def status_mistakes(journeys: Sequence[Journey]) -> list[str]:
    """What is wrong with what Tidings says, a line each."""
    return [wrong for journey in journeys for wrong in _status(journey)]


def _status(journey: Journey) -> Iterator[str]:
    found = {one["channel"]: one for one in journey.deliveries}
    if found.keys() != journey.scene.expected.keys():
        yield f"{journey.scene.title}: deliveries over {', '.join(found)}"
        return
    for channel, expected in journey.scene.expected.items():
        one = found[channel]
        same = (one["status"], one["reason"], one["attempts"]) == (
            expected.status,
            expected.reason,
            expected.attempts,
        )
        if not same or expected.detail not in (one["detail"] or ""):
            seen = " ".join(str(one[name]) for name in ("status", "reason", "attempts", "detail"))
            yield f"{journey.scene.title}: {channel} is {seen}, not {expected}"
        sent = [event["timestamp"] for event in one["events"] if event["type"] == "sent"]
        due = journey.status["send_at"]
        if due and any(datetime.fromisoformat(at) < datetime.fromisoformat(due) for at in sent):
            yield f"{journey.scene.title}: {channel} was sent before its time"


def _mails(journeys: Sequence[Journey], mails: Sequence[Mail]) -> Iterator[str]:
    wanted = Counter(
        (journey.scene.request["recipient"]["email"], journey.scene.subject)
        for journey in journeys
        if journey.scene.subject is not None
    )
    came = Counter((to, str(mail.message["Subject"])) for mail in mails for to in mail.recipients)
    for to, subject in (wanted - came).elements():
        yield f"this mail did not arrive: to {to}, {subject!r}"
    for to, subject in (came - wanted).elements():
        yield f"this mail should not have arrived: to {to}, {subject!r}"


def _contract(mails: Sequence[Mail]) -> Iterator[str]:
    """The first mail in full: envelope, headers, and both parts."""
    to = CONTRACT["recipient"]["email"]
    mail = next((one for one in mails if "Welcome" in str(one.message["Subject"])), None)
    if mail is None:
        return  # told by _mails
    if (mail.sender, mail.recipients) != ("hello@myapp.com", (to,)):
        yield f"the welcome mail's envelope is {mail.sender} to {mail.recipients}"
    for name in ("From", "To", "Date", "Message-ID"):
        if not mail.message[name]:
            yield f"the welcome mail has no {name}"
    link = CONTRACT["data"]["login_link"]
    for subtype in ("plain", "html"):
        if link not in mail.part(subtype):
            yield f"the welcome mail's text/{subtype} part has no link to log in"


def _events(journeys: Sequence[Journey], events: Mapping[str, Any]) -> Iterator[str]:
    wanted = {
        one["delivery_id"]: journey.scene.event
        for journey in journeys
        for one in journey.deliveries
        if one["channel"] == "webhook" and journey.scene.event
    }
    came = {message_id: event["type"] for message_id, event in events.items()}
    if came != wanted:
        yield f"the webhooks that arrived are {came}, not {wanted}"


def _feed(journeys: Sequence[Journey], feed: Mapping[str, Any]) -> Iterator[str]:
    ids = {
        one["delivery_id"]: journey.scene.expected["in_app"].status == "delivered"
        for journey in journeys
        for one in journey.deliveries
        if one["channel"] == "in_app"
    }
    came = {entry["id"] for entry in feed["entries"] if not entry["read_at"]}
    wanted = {delivery_id for delivery_id, delivered in ids.items() if delivered}
    # A directory that was used before has entries of that time, too.
    if came & ids.keys() != wanted or feed["unread"] < len(wanted):
        yield f"the feed has {len(came & ids.keys())} new entries, not {len(wanted)}"
