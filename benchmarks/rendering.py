"""CPU of one email from a compiled template: subject, HTML, text and MIME, for each template of
`examples/branded`.

    python -m benchmarks.rendering
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from examples.branded import editions

from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent
from tidings.domain.templates import Edition
from tidings.providers.mailbox import parse_mailbox
from tidings.providers.mime import Composer
from tidings.rendering.compiled import compile_edition
from tidings.rendering.context import context_of

ROUNDS = 7
SECONDS = 0.15
READERS = 3_000
RECIPIENT = {"user_id": "user", "locale": "en", "timezone": "Europe/Berlin"}
LINKS = {
    "unsubscribe_url": "https://notify.example/u/abcdefghijkl",
    "preferences_url": "https://notify.example/p/abcdefghijkl",
}
COMPOSER = Composer(parse_mailbox("Larkspur <hello@larkspur.example>"))
TO = parse_mailbox("noor@example.com")
NOW = datetime(2030, 1, 31, tzinfo=UTC)


def main() -> None:
    print("template            compile ms    render ms    MIME ms    together ms    bytes")
    for edition in editions(Path("examples/branded")):
        print(_line(edition))


def _line(edition: Edition) -> str:
    started = time.thread_time()
    render = compile_edition(edition.name, edition)[Channel.EMAIL]
    compiled = time.thread_time() - started
    readers = cycle([_changed(edition.sample, number) for number in range(READERS)])
    email = render(context_of(next(readers), RECIPIENT, LINKS))
    assert isinstance(email, EmailContent)
    rendering = _each(lambda: render(context_of(next(readers), RECIPIENT, LINKS)))
    composing = _each(lambda: _compose(email))
    return (
        f"{edition.name:<20}{compiled * 1e3:>10.1f}{rendering * 1e3:>13.3f}{composing * 1e3:>11.3f}"
        f"{(rendering + composing) * 1e3:>15.3f}{len(_compose(email)):>9}"
    )


def _changed(value: Any, by: int) -> Any:
    """The same with other amounts: what is remembered of one message helps no other."""
    if isinstance(value, Mapping):
        return {name: _changed(one, by) for name, one in value.items()}
    if isinstance(value, list):
        return [_changed(one, by) for one in value]
    return round(value + by / 100, 2) if isinstance(value, float) else value


def _compose(email: EmailContent) -> bytes:
    return COMPOSER.compose(email, recipient=TO, message_id="1@example.com", date=NOW)


def _each(work: Callable[[], object]) -> float:
    """Seconds of CPU of this thread, the median of several rounds."""
    work()
    rounds: list[float] = []
    for _ in range(ROUNDS):
        started, count = time.thread_time(), 0
        while time.thread_time() - started < SECONDS / ROUNDS:
            for _ in range(20):
                work()
            count += 20
        rounds.append((time.thread_time() - started) / count)
    return median(rounds)


if __name__ == "__main__":
    main()
