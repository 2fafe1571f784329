"""The agent on itself: how late it is, what went wrong in it, whether its view can be trusted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping

import trio

from probe.agent.clock import WallWatch, synchronized
from probe.agent.jobs import JobKey, check_of
from probe.agent.log import EventLog, key_fields
from probe.agent.process import LOOPS
from probe.edges import FinderStats
from probe.model.failure import Failure, Phase, Reason, trace
from probe.model.target import FlowKey, ProviderKey
from probe.schedule import Counts, Defect, DefectKind, Start
from probe.serve import Store
from probe.serve.series import families
from probe.serve.series.family import Sample
from probe.state.vantage import Health, Vantage

_LOOK_EVERY = 1.0
_ASK_KERNEL_EVERY = 60.0

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
        clock: notices when this host's clock is set.
    """

    def __init__(
        self,
        store: Store,
        vantage: Vantage,
        log: EventLog,
        counts: Callable[[], Mapping[str, Counts]],
        dns: Callable[[], FinderStats],
        clock: WallWatch | None = None,
    ) -> None:
        self._store = store
        self._vantage = vantage
        self._log = log
        self._counts = counts
        self._dns = dns
        self._clock = clock or WallWatch()
        self._ask_kernel_at = float("-inf")
        self._ignoring: set[str] = set()
        self._ill: dict[str, str] = {}
        self._unjudged: dict[str, str] = {}
        self._running = False
        self._lag = store.series.histograms.of(families.AGENT_LOOP_LAG)
        self._lateness = store.series.histograms.of(families.AGENT_SCHEDULE_LATENESS)
        for loop in LOOPS:  # at zero, so that the first crash is an increase
            store.agent.count(families.AGENT_LOOP_CRASHES, 0, loop=loop)
        store.agent.count(families.AGENT_CLOCK_STEPS, 0)
        store.agent.health = self._health
        store.agent.readings += (self._runs, self._questions, self._kernel)
        store.agent.on_defect = self.crashed

    def lagged(self, seconds: float, worst: float) -> None:
        """The loop was so late, in seconds; ``worst`` since it was said last."""
        self._lag.observe((), seconds)
        self._vantage.lag(worst, trio.current_time())

    def started(self, start: Start[JobKey]) -> None:
        """A run began, at its time or later."""
        if not (start.extra or start.slow):
            self._lateness.observe((("check", start.job.key.check),), start.lateness)
            self._vantage.late(start.lateness, trio.current_time())

    def crashed(self, loop: str, where: str) -> None:
        """A loop of ``LOOPS`` raised; ``where`` as ``probe.model.failure`` writes it."""
        self._store.agent.count(families.AGENT_LOOP_CRASHES, loop=loop)
        self._log.defect("loop", where, loop=loop)

    def defect(self, defect: Defect[JobKey]) -> Failure:
        """A run crashed, was cut off or is stuck: our fault. What to file under its key."""
        key, kind = defect.job.key, defect.kind
        self._store.agent.count(families.AGENT_SKIPPED_RUNS, check=key.check, reason=kind.value)
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

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Say in the log what changes, until cancelled; metrics and page ask by themselves."""
        self._running = True
        task_status.started()
        while True:
            self._judge()
            for server in self._dns().subnet_ignored.keys() - self._ignoring:
                self._ignoring.add(server)
                note = "it answers for this region only"
                self._log.warning("client subnet ignored", server=server, note=note)
            await trio.sleep(_LOOK_EVERY)

    def _judge(self) -> None:
        self._look_at_clock()
        health = self._vantage.judge(trio.current_time())
        unjudged = {sign.value: why for sign, why in health.unjudged.items()}
        if unjudged.keys() - self._unjudged.keys():
            self._log.info("vantage cannot judge", **unjudged)
        self._unjudged = unjudged
        ill = {c.sign.value: c.why for c in health.complaints if c.ill}
        if ill.keys() != self._ill.keys():  # the evidence differs with each look
            if ill:
                self._log.warning("vantage ill", **ill)
            else:
                self._log.info("vantage well")
            self._ill = ill

    def _look_at_clock(self) -> None:
        """Notice that the clock was set, and ask the kernel now and then."""
        step, now = self._clock.step(), trio.current_time()
        if step:
            self._store.agent.count(families.AGENT_CLOCK_STEPS)
            self._log.warning("clock set", by=f"{step:+.1f} s", note="or this host was asleep")
            self._vantage.clock.stepped(step)
        if step or now >= self._ask_kernel_at:
            self._ask_kernel_at = now + _ASK_KERNEL_EVERY
            self._vantage.clock.synchronized = synchronized()

    def _kernel(self) -> Iterator[Sample]:
        """What the kernel says of the clock."""
        if self._vantage.clock.synchronized is not None:
            yield families.AGENT_CLOCK_SYNCHRONIZED, float(self._vantage.clock.synchronized), ()

    def _health(self) -> Health | None:
        return self._vantage.judge(trio.current_time()) if self._running else None

    def _runs(self) -> Iterator[Sample]:
        """What the runner counted, by check: runs and DNS questions stand in different groups.

        What is still under way for a check that went with a reload counts nowhere.
        """
        totals: dict[str, Counter[str]] = {check: Counter() for check in self._store.checks}
        for group, counts in self._counts().items():
            check = check_of(group)
            if check in totals:
                totals[check].update(
                    missed=counts.missed,
                    overlap=counts.skipped,
                    slow=counts.deferred,
                    in_flight=counts.in_flight,
                )
        for check, total in totals.items():
            label = ("check", check)
            yield families.AGENT_MISSED_RUNS, float(total["missed"]), (label,)
            yield families.AGENT_IN_FLIGHT, float(total["in_flight"]), (label,)
            for reason in ("overlap", "slow"):
                if total[reason]:
                    labels = (label, ("reason", reason))
                    yield families.AGENT_SKIPPED_RUNS, float(total[reason]), labels

    def _questions(self) -> Iterator[Sample]:
        """What the finder of edges counted."""
        stats = self._dns()
        for outcome, count in stats.questions.items():
            yield families.AGENT_DNS_QUESTIONS, float(count), (("outcome", outcome),)
        for server, count in stats.subnet_ignored.items():
            yield families.AGENT_DNS_SUBNET_IGNORED, float(count), (("server", server),)


_MEMORY = 1.0
"""Seconds for which a stall counts as current."""


class LagMeter(trio.abc.Instrument):
    """Knows the loop's lateness of the last second, from two sources.

    - Each turn of the loop is measured: nothing that became ready during a turn is noticed
      before its end. This sees every stall of our own making, and wakes nobody for it.
    - A few times a second a sleeper sees how much later than asked it woke. This also sees
      what no turn does: a process that the kernel did not let run. These are the samples;
      more of them would be half of what an idle agent costs.

    Args:
        on_sample: told each sample, and the worst of sample and turns since the one before, in
            seconds. The first is what anything that waits meets; the second misses nothing.
        period: seconds between samples.
    """

    def __init__(
        self,
        on_sample: Callable[[float, float], None] = lambda _, __: None,
        *,
        period: float = 0.25,
    ) -> None:
        self._on_sample = on_sample
        self._period = period
        self._recent: deque[float] = deque([0.0], maxlen=max(1, round(_MEMORY / period)))
        self._due: float | None = None
        self._turn_began: float | None = None
        self._longest = 0.0  # turn since the last sample

    def current(self) -> float:
        """Seconds: the worst of the last second, what is under way now included."""
        now = trio.current_time()
        overdue = 0.0 if self._due is None else now - self._due
        turn = 0.0 if self._turn_began is None else now - self._turn_began
        return max(*self._recent, self._longest, overdue, turn)

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins (trio calls this)."""
        self._turn_began = trio.current_time()

    def before_io_wait(self, timeout: float) -> None:
        """A turn is over (trio calls this)."""
        if self._turn_began is not None:
            turn = trio.current_time() - self._turn_began
            self._longest = max(self._longest, turn)
            self._turn_began = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Measure until cancelled."""
        trio.lowlevel.add_instrument(self)
        task_status.started()
        try:
            while True:
                self._due = trio.current_time() + self._period
                await trio.sleep_until(self._due)
                late = max(0.0, trio.current_time() - self._due)
                worst = max(late, self._longest)
                self._longest = 0.0
                self._recent.append(worst)
                self._on_sample(late, worst)
        finally:
            trio.lowlevel.remove_instrument(self)
