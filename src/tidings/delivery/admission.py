"""Which of the calls that are ready the rate limits let pass, and what becomes of the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from tidings.delivery.accounts import Accounts
from tidings.delivery.calling import Ready
from tidings.delivery.gates import Gates
from tidings.delivery.limiting import Limits, Permit, Skip, Wait
from tidings.delivery.routing_facts import facts_of
from tidings.delivery.settling import Held, Settlement
from tidings.delivery.verdicts import Verdicts
from tidings.domain.categories import CAP
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.lanes import Lane
from tidings.domain.reasons import Reason
from tidings.domain.retry import Settle
from tidings.metrics import Metrics


@dataclass(frozen=True)
class Sorted:
    """admitted: may be called. laned: go back to their places in the line, whose gate is shut. over: another account
    may have room. turned_away: wait for a time of their own, or are skipped."""

    admitted: list[Ready] = field(default_factory=list)
    laned: list[Ready] = field(default_factory=list)
    over: list[Ready] = field(default_factory=list)
    turned_away: list[tuple[Ready, Wait | Skip]] = field(default_factory=list)


class Admission:
    """The limits, and what is learnt of lanes and accounts from what they answer."""

    def __init__(
        self,
        *,
        limits: Limits,
        gates: Gates[Lane],
        accounts: Accounts,
        verdicts: Verdicts,
        metrics: Metrics,
    ) -> None:
        self._limits = limits
        self._gates = gates
        self._accounts = accounts
        self._verdicts = verdicts
        self._metrics = metrics

    @property
    def applies(self) -> bool:
        """Whether anything is limited at all."""
        return self._limits.applies

    async def sort(self, ready: Sequence[Ready], *, elsewhere: bool) -> Sorted:
        """Take permits for these. elsewhere: those that another account could send may be told so."""
        grants = await self._limits.take(
            [(one.held, one.chosen.account.name) for one in ready],
            self._elsewhere(ready) if elsewhere else (),
        )
        result = Sorted()
        shut: dict[Lane, float] = {}
        used_up: dict[str, float] = {}
        for one, grant in zip(ready, grants, strict=True):
            if isinstance(grant, Wait | Skip):
                outcome = "skip" if isinstance(grant, Skip) else "wait"
                self._metrics.rate_limited.labels(grant.limit, outcome).inc()
            if grant is None or isinstance(grant, Permit):
                result.admitted.append(replace(one, permit=grant))
            elif isinstance(grant, Wait) and grant.elsewhere:
                result.over.append(one)
                used_up[one.chosen.account.name] = grant.at
            elif isinstance(grant, Wait) and grant.lane:
                result.laned.append(one)
                lane = one.held.claim.lane
                shut[lane] = max(grant.at, shut.get(lane, grant.at))
            else:
                result.turned_away.append((one, grant))
        self._gates.learn(Counter(one.held.claim.lane for one in result.admitted), shut)
        passed = Counter(one.chosen.account.name for one in result.admitted)
        self._accounts.overflow.learn(passed, used_up)
        return result

    def refused(self, held: Held, grant: Wait | Skip) -> Settlement:
        """What follows from a limit that has no room for it."""
        capped = grant.limit.startswith(CAP)
        if isinstance(grant, Skip):
            reason = Reason.FREQUENCY_CAPPED if capped else Reason.RATE_LIMIT_SKIPPED
            skipped = Settle(DeliveryStatus.SKIPPED, reason, grant.limit)
            return self._verdicts.ended(held, skipped)
        if capped:
            return self._verdicts.deferred(held, Reason.FREQUENCY_CAPPED, grant.until)
        return self._verdicts.limited(held, grant.until, grant.limit)

    def _elsewhere(self, ready: Sequence[Ready]) -> set[UUID]:
        """Those of them that another account could send."""
        return {
            one.message.delivery_id
            for one in ready
            if self._accounts.is_other(
                one.held.work.channel,
                facts_of(one.held.work),
                pinned=one.held.claim.account,
                avoid=one.held.claim.avoid,
                than=one.chosen.account.name,
            )
        }
