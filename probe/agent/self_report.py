"""The agent on itself: how late it is, what went wrong in it, whether its view can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import trio

from probe.agent.jobs import JobKey, check_of
from probe.agent.log import EventLog, key_fields
from probe.agent.supervised import LOOPS
from probe.edges import FinderStats
from probe.model.defect import trace
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import FlowKey, ProviderKey
from probe.schedule import Counts, Defect, DefectKind, Start
from probe.serve import Store
from probe.state.vantage import Vantage

_REPORT_EVERY = 1.0

_UNFINISHED = {
    DefectKind.CUT: "still running at its deadline",
    DefectKind.STUCK: "does not end though it was cancelled",
}


class SelfReport:
    """Tells metrics, vantage and log of the agent itself.

    Args:
        store: what metrics and page are read from.
        vantage: judges whether this agent's view can be trusted.
        log: one line for each defect and each change of the vantage.
        counts: what the runner counted, by group.
        dns: what the finder of edges counted.
    """

    def __init__(
        self,
        store: Store,
        vantage: Vantage,
        log: EventLog,
        counts: Callable[[], Mapping[str, Counts]],
        dns: Callable[[], FinderStats],
    ) -> None:
        self._store = store
        self._vantage = vantage
        self._log = log
        self._counts = counts
        self._dns = dns
        self._asked: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._ill: dict[str, str] = {}
        self._counted: dict[str, tuple[int, int, int]] = {}
        for loop in LOOPS:
            store.agent.loop_crashed(loop, 0)  # so that the first crash is an increase

    def lagged(self, seconds: float, worst: float) -> None:
        """The loop was so late, in seconds; ``worst`` since it was said last."""
        self._store.agent.loop_lag(seconds)
        self._vantage.lag(worst, trio.current_time())

    def started(self, start: Start[JobKey]) -> None:
        """A run began, at its time or later."""
        if not (start.extra or start.slow):
            self._store.agent.started_late(start.job.key.check, start.lateness)
            self._vantage.late(start.lateness, trio.current_time())

    def crashed(self, loop: str, where: str) -> None:
        """A loop of ``LOOPS`` raised; ``where`` as ``probe.model.defect`` writes it."""
        self._store.agent.loop_crashed(loop)
        self._log.defect("loop", where, loop=loop)

    def defect(self, defect: Defect[JobKey]) -> Failure:
        """A run crashed, was cut off or is stuck: our fault. What to file under its key."""
        key, kind = defect.job.key, defect.kind
        self._store.agent.skipped_run(key.check, kind.value)
        where = _UNFINISHED.get(kind, "") if defect.error is None else trace(defect.error)
        self._log.defect(kind.value, where, **key_fields(key))
        match key:
            case ProviderKey():
                phase = Phase.RESOLVE
            case FlowKey():
                phase = Phase.SEND
            case _:
                phase = Phase.CONNECT
        return Failure(phase, Reason.DEFECT, where)

    async def run(self) -> None:
        """Carry over to the metrics what others count, and judge the vantage, until cancelled."""
        while True:
            self._carry_counts()
            self._carry_dns()
            self._judge()
            await trio.sleep(_REPORT_EVERY)

    def _carry_counts(self) -> None:
        in_flight: Counter[str] = Counter()
        for group, counts in self._counts().items():
            check = check_of(group)
            if check not in self._store.checks:
                continue  # it went with a reload; what is still under way for it counts nowhere
            in_flight[check] += counts.in_flight
            now = (counts.missed, counts.skipped, counts.deferred)
            before = self._counted.get(group, (0, 0, 0))
            self._counted[group] = now
            missed, skipped, deferred = (new - old for new, old in zip(now, before, strict=True))
            if missed > 0:
                self._store.agent.missed_run(check, missed)
            if skipped > 0:
                self._store.agent.skipped_run(check, "overlap", skipped)
            if deferred > 0:
                self._store.agent.skipped_run(check, "slow", deferred)
        self._store.agent.in_flight(in_flight)

    def _carry_dns(self) -> None:
        stats = self._dns()
        for outcome, count in (Counter(stats.questions) - self._asked).items():
            self._store.agent.dns_questions(outcome, count)
        for server, count in (Counter(stats.subnet_ignored) - self._ignored).items():
            self._store.agent.dns_subnet_ignored(server, count)
            if server not in self._ignored:
                self._log.warning(
                    "client subnet ignored", server=server, note="it answers for this region only"
                )
        self._asked, self._ignored = Counter(stats.questions), Counter(stats.subnet_ignored)

    def _judge(self) -> None:
        health = self._vantage.judge(trio.current_time())
        ill = {c.sign.value: c.why for c in health.complaints if c.ill}
        self._store.agent.vantage(healthy=health.healthy, causes=sorted(ill))
        if ill != self._ill:
            if ill:
                self._log.warning("vantage ill", **ill)
            else:
                self._log.info("vantage well")
            self._ill = ill
