"""What one sees of it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from examples.demo.installation import Installation
from examples.demo.scenes import Journey
from examples.demo.verdict import Arrived
from examples.mail_server import Mail
from tidings.domain.reasons import Reason

_STYLES = {
    "delivered": "bold green",
    "sent": "green",
    "accepted": "green",
    "pending": "cyan",
    "transient": "yellow",
    "failed": "red",
    "permanent": "red",
    "unknown": "magenta",
    "skipped": "dim",
    "cancelled": "dim",
}
_TEXTS = {reason.value: reason.text for reason in Reason}


def started(console: Console, api: str, mail_port: int, hooks: str) -> None:
    console.print(
        Text.assemble(
            ("Tidings is ready", "bold"),
            f" at {api}. It delivers to an SMTP server on port {mail_port} and to a webhook "
            f"receiver at {hooks}, which were started beside it.",
        )
    )


class Travelling:
    """The live table; where the output is no terminal, its last state."""

    def __init__(self, console: Console, journeys: Sequence[Journey]) -> None:
        self._journeys = journeys
        self._first = ""
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._view)

    def __enter__(self) -> "Travelling":
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def first_after(self, seconds: float) -> None:
        """From the start of everything to the first notification delivered."""
        self._first = f"first notification {seconds:.1f} s after the start"

    def update(self) -> None:
        self._live.refresh()

    def _view(self) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, caption=self._first or None, caption_justify="left")
        for column in ("notification", "deliveries", "took"):
            table.add_column(column)
        for journey in self._journeys:
            deliveries = Text("  ").join(map(_delivery, journey.deliveries))
            table.add_row(journey.scene.title, deliveries, _took(journey))
        return table


def story(
    console: Console,
    journeys: Sequence[Journey],
    arrived: Arrived,
    calls: Sequence[tuple[str, str, int]],
) -> None:
    """Every timeline, then what the other sides have."""
    console.print(
        "\n", Rule("what happened, as GET /notifications/{id}/status tells it", align="left")
    )
    for journey in journeys:
        console.print(_timeline(journey))
    if arrived.mails:
        console.print(Rule("the first email, as the SMTP server received it", align="left"))
        console.print(_mail(arrived.mails[0]))
    retried = {message_id for message_id, _, status in calls if status == 503}
    for message_id, event in arrived.events.items():
        note = " at the second call" if message_id in retried else ""
        console.print(Rule(f"a webhook, its signature verified{note}", align="left"))
        console.print(_json(event))
    console.print(
        Rule(f"the in-app feed: {arrived.feed['unread']} unread", align="left"), _feed(arrived.feed)
    )


def summary(console: Console, journeys: Sequence[Journey]) -> None:
    count = sum(len(journey.deliveries) for journey in journeys)
    console.print(
        Text.assemble(
            ("All is as it should be: ", "bold green"),
            f"{len(journeys)} notifications, {count} deliveries, each accounted for.",
        )
    )


def vendors(console: Console, taken: Sequence[Sequence[str]]) -> None:
    """taken: title, channel, recipient, and what was sent."""
    title = "what the vendors got, played by `tidings sandbox`"
    console.print("\n", Rule(title, align="left"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("vendor", "channel", "to", "message", "told back, ✓ taken"):
        table.add_column(column, overflow="fold")
    for row in taken:
        table.add_row(*map(Text, row))
    console.print(table)


def end(console: Console, seconds: float) -> None:
    console.print(Text(f"{seconds:.1f} s for everything.", "dim"))


def keeping(console: Console, installation: Installation, sandbox: str) -> None:
    """For those who want to look around."""
    console.print(
        Panel(
            Text(
                f"API            {installation.url}   (documentation: {installation.url}/docs)\n"
                f"API key        in {installation.data / 'api_key'}\n"
                f"Vendors        {sandbox}   (what they were sent, and failures on purpose)\n"
                f"Command line   export TIDINGS_CONFIG={installation.settings}\n"
                f"               .venv/bin/tidings list",
                overflow="fold",
            ),
            title="still running; Ctrl+C stops it",
            title_align="left",
        )
    )


def _delivery(one: dict[str, Any]) -> Text:
    word = one["status"]
    if word == "pending" and one["attempts"]:
        word = "retrying"
    # The space between the two does not break.
    return Text.assemble(f"{one['channel']}\u00a0", (word, _STYLES.get(one["status"], "")))


def _took(journey: Journey) -> str:
    """From acceptance, or the scheduled time, to the last event."""
    if not journey.ended:
        return "…"
    at = [event["timestamp"] for one in journey.deliveries for event in one["events"]]
    if not at or journey.scene.cancelled:
        return ""
    begin = journey.status["send_at"] or journey.status["accepted_at"]
    return f"{(_time(max(at, key=_time)) - _time(begin)).total_seconds() * 1000:.0f} ms"


def _timeline(journey: Journey) -> RenderableType:
    status = journey.status
    head = Text.assemble(
        (journey.scene.title, "bold"),
        ("  " + status["template_id"] + "  " + journey.notification_id + "  ", "dim"),
        (status["status"], _STYLES.get(status["status"], "")),
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_row("+0 ms", "", Text("accepted", "green"), "")
    for at, row in sorted(_events(journey), key=lambda one: one[0]):
        table.add_row(f"+{at:.0f} ms" if at < float("inf") else "", *row)
    return Group(head, table, Text())


def _events(journey: Journey) -> Iterator[tuple[float, tuple[RenderableType, ...]]]:
    """Milliseconds after acceptance, and a row. What was decided at acceptance comes last."""
    accepted = _time(journey.status["accepted_at"])
    for one in journey.deliveries:
        reached = [event["type"] for event in one["events"]]
        for event in one["events"]:
            if event["type"] == "sent" and "delivered" in reached:
                continue  # with a provider that confirms, both at once
            at = (_time(event["timestamp"]) - accepted).total_seconds() * 1000
            word = event.get("outcome") or event["type"]
            what = Text(word, _STYLES.get(word, ""))
            if "attempt" in event:
                what = Text(f"attempt {event['attempt']}: ").append_text(what)
            detail = event.get("detail") or ("" if "attempt" in event else one["detail"])
            yield at, (one["channel"], what, _reason(event.get("reason"), detail))
        if not one["events"]:
            word = one["status"]
            what = Text(word, _STYLES.get(word, ""))
            yield float("inf"), (one["channel"], what, _reason(one["reason"], one["detail"]))


def _reason(code: str | None, detail: str | None) -> Text:
    if code is None:
        return Text()
    said = _TEXTS.get(code, code)
    return Text(f"{said} ({detail})" if detail else said, "dim")


def _mail(mail: Mail) -> RenderableType:
    envelope = Text(f"MAIL FROM:<{mail.sender}>  RCPT TO:<{'>, <'.join(mail.recipients)}>", "dim")
    headers = "\n".join(f"{name}: {value}" for name, value in mail.message.items())
    return Group(
        envelope,
        Text(headers),
        Text("\ntext/plain", "dim"),
        Text(mail.part("plain").strip()),
        Text("\ntext/html", "dim"),
        Text(mail.part("html").strip()),
        Text(),
    )


def _json(event: Any) -> RenderableType:
    return Syntax(orjson.dumps(event, option=orjson.OPT_INDENT_2).decode(), "json", word_wrap=True)


def _feed(feed: Any) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "title", "body", "category"):
        table.add_column(column)
    for entry in feed["entries"]:
        new = "" if entry["read_at"] else "●"
        table.add_row(new, Text(entry["title"]), Text(entry["body"]), entry["category"])
    return table


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)
