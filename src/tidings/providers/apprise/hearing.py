"""What Apprise says while it sends: it answers yes or no, and tells the rest to its log alone."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Hearing(logging.Filter):
    """Hears the lines of each thread by itself, and lets none of them through to a log: they hold addresses and
    content."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = threading.local()

    @classmethod
    def of_apprise(cls) -> "Hearing":
        """The one of this process, which all accounts share."""
        logger = logging.getLogger("apprise")
        logger.setLevel(logging.DEBUG)
        # Its debug log shows the path of each request.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        for found in logger.filters:
            if isinstance(found, cls):
                return found
        made = cls()
        logger.addFilter(made)
        return made

    def filter(self, record: logging.LogRecord) -> bool:
        lines: list[str] | None = getattr(self._threads, "lines", None)
        if lines is not None:
            lines.append(record.getMessage())
        return False

    @contextmanager
    def lines(self) -> Iterator[list[str]]:
        """What this thread says meanwhile."""
        self._threads.lines = heard = list[str]()
        try:
            yield heard
        finally:
            self._threads.lines = None
