"""What a worker saw of an account since its last report."""

from dataclasses import dataclass

from tidings.domain.breaker import NONE, Counts
from tidings.store.account_health import Report


@dataclass(slots=True)
class Sightings:
    """Of one account: what is not reported yet. trial: the round of probes that `good` and `bad` are of."""

    counts: Counts = NONE
    wanted: int = 0
    trial: int = 0
    good: int = 0
    bad: int = 0
    throttled: bool = False
    retry_after: float | None = None

    def add_probe(self, trial: int, *, good: bool) -> None:
        if trial != self.trial:
            self.trial, self.good, self.bad = trial, 0, 0
        self.good += good
        self.bad += not good

    def unreported(self, report: Report) -> None:
        """The report did not arrive: what it said is told with the next."""
        self.counts = self.counts.plus(report.counts)
        if not self.trial:
            self.trial = report.trial
        if self.trial == report.trial:
            self.good += report.good
            self.bad += report.bad
        self.throttled = self.throttled or report.throttled
        self.retry_after = max(self.retry_after or 0, report.retry_after or 0) or None

    def report(self, account: str) -> Report | None:
        """None where there is nothing to tell."""
        report = Report(
            account=account,
            counts=self.counts,
            wanted=self.wanted,
            trial=self.trial,
            good=self.good,
            bad=self.bad,
            throttled=self.throttled,
            retry_after=self.retry_after,
        )
        return None if report == Report(account=account, trial=self.trial) else report
