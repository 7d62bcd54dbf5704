"""Asks Celery for an errand's work by `send.delay`, as an application does.

`python -m benchmarks.rivals.celery_produce` in the rivals' environment: an Errand in, a Tally out. Celery has no
way to ask for many at once.
"""

import threading
import time

from celery.exceptions import OperationalError

from benchmarks import job
from benchmarks.rivals.celery_app import send
from benchmarks.work import Errand, Stopwatch, Tally

# Threads of the asking application, as in a web server; more of them are not faster under one GIL.
THREADS = 8


class Producer:
    """One errand's requests, and how they went."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.tally = Tally()
        self._lock = threading.Lock()
        self._numbers = iter(range(errand.work.count))

    def ask(self, number: int, microseconds: int) -> None:
        work = self.errand.work
        try:
            send.delay(
                work.channel, self.errand.address(number), job.data(work.run, number, microseconds)
            )
        except OperationalError:
            self._count("the broker refused")
        else:
            self._count("accepted")

    def flat_out(self) -> None:
        """What each thread does: ask for the next until there is none."""
        while (number := self._next()) is not None:
            self.ask(number, time.time_ns() // 1000)

    def steady(self, rate: float) -> None:
        """Each is asked for at its time; its time counts from when it was due."""
        start = time.time()
        while (number := self._next()) is not None:
            due = start + number / rate
            if (wait := due - time.time()) > 0:
                time.sleep(wait)
            self.ask(number, int(due * 1e6))

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)

    def _count(self, answer: str) -> None:
        with self._lock:
            self.tally.count(answer, 1)
            self.tally.accepted += answer == "accepted"


def main() -> None:
    producer = Producer(Errand.read())
    rate = producer.errand.work.rate
    stopwatch = Stopwatch()
    if rate:
        producer.steady(rate)
    else:
        threads = [threading.Thread(target=producer.flat_out) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stopwatch.read(producer.tally)
    print(producer.tally.dump(), flush=True)


if __name__ == "__main__":
    main()
