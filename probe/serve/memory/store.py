"""The store: every result ends here; metrics and the status page are read from here.

The agent tells it of results with the state that follows from them, and of what it probes no
more. Series of what is gone vanish; counters of what stays survive every reload. All of it runs
on the event loop, in memory, without I/O.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping

from probe.model.cause import Investigation
from probe.model.failure import Failure, Reason, trace
from probe.model.flow_cause import FlowCause, FlowInvestigation
from probe.model.records import NameFindings
from probe.model.result import (
    Failed,
    FlowResult,
    Inconclusive,
    Outcome,
    Passed,
    ResolveResult,
    TlsResult,
)
from probe.model.spec import Check, Spec
from probe.model.state import CONFIRMED, Diagnosis, EdgeStatus, Transition
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.memory.agent import AgentFacts
from probe.serve.memory.causes import CauseBook, EdgeCounts
from probe.serve.memory.flow_causes import FlowCauseBook
from probe.serve.memory.flows import FlowBook
from probe.serve.memory.memory import PART, Memory
from probe.serve.records import (
    TROUBLED,
    Belief,
    CertificatesKey,
    CertificateSplit,
    CheckKey,
    EdgeRecord,
    LeafRecord,
    ResolveRecord,
    ResultKey,
    TargetKey,
    TargetRecord,
)
from probe.serve.series import families
from probe.serve.series.edge_samples import cause_samples, provider_samples, steady
from probe.serve.series.target_samples import check_samples

JOURNAL = 200
"""Changes of state kept for the page: a person reads some dozens, a log keeps the rest."""


class Store(Memory):
    """What is known now, and how it gets to be known.

    Args:
        region: where the agent runs; a label of every series.
        started_at: wall time, seconds since the epoch.
        clock: monotonic seconds, by which silence is measured.
        wall: seconds since the epoch.
        on_silence: told when the first of a provider becomes unseen, and when nothing is any more.

    Attributes:
        agent: what is known of the agent itself.
        journal: the recent changes of state, newest first.
        causes: why edges fail, as far as experiments have told; likewise ``flow_causes``.
    """

    def __init__(
        self,
        region: str,
        *,
        started_at: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_silence: Callable[[Transition], object] = lambda _: None,
    ) -> None:
        super().__init__(region, clock, wall, on_silence)
        self.started_at = started_at
        self.agent = AgentFacts()
        self.journal: deque[Transition] = deque(maxlen=JOURNAL)
        self.causes = CauseBook(self._still_fails, self._investigated)
        self.flow_causes = FlowCauseBook(self._flow_still_fails, self._investigated)
        self._flow_book = FlowBook(self)

    # ------------------------------------------------------------ what is probed

    def configure(self, spec: Spec) -> None:
        """Do as `reconfigure`, at once."""
        for _ in self.reconfigure(spec):
            pass

    def reconfigure(self, spec: Spec) -> Iterator[None]:
        """Follow a new configuration, in short steps: checks that it lacks go with all series."""
        before, checks = self.checks, {check.name: check for check in spec.checks}
        for name in before.keys() - checks.keys():
            yield from self.retarget(name, ())
        for place, record in enumerate(list(self.targets.values())):
            if record.key.check not in checks:
                self.forget_target(record)
            if place % PART == PART - 1:
                yield
        self.checks = checks
        self._follow_checks(before, spec)
        self.planned.follow(spec.maintenance)
        for place, record in enumerate(list(self.targets.values())):
            self.series.thin(record)
            if place % PART == PART - 1:
                yield

    def _follow_checks(self, before: Mapping[str, Check], spec: Spec) -> None:
        for name in before.keys() - self.checks.keys():
            del self.listed[name]
            self.series.tables.check_info.drop(CheckKey(name))
        self.series.histograms.keep_checks(self.checks)
        self.agent.keep_checks(self.checks)
        for name in before.keys() & self.checks.keys():
            for provider in {*before[name].providers} - {*self.checks[name].providers}:
                self.series.histograms.forget(("check", name), ("provider", provider))
        self._flow_book.configure(before, self.checks)
        for check in spec.checks:
            self.series.tables.check_info.set(CheckKey(check.name), check_samples(check))
            # At zero, so that the first event is an increase.
            self.agent.count(families.AGENT_UNKNOWN_REASONS, 0, check=check.name)
            self.agent.count(families.AGENT_UNTRUSTED_TIMINGS, 0, check=check.name)
        self.series.configure(self.checks, spec.limits.lag_bound)

    # ------------------------------------------------------------ results

    def record_edge(self, result: TlsResult, status: EdgeStatus, since: float) -> None:
        """Take in one attempt on an edge, and the state that follows from it.

        Args:
            result: the attempt.
            status: what is believed of the edge now.
            since: wall time at which that state began.
        """
        key = result.key
        target = self.target_of(key.check, key.target)
        if target is None:
            return
        belief = self._believed(target, result, status, since)
        record = target.edges.get(key)
        known = record is not None
        if record is None:
            record = target.edges[key] = EdgeRecord(key, result)
            self.census.add(key)
        unchanged = (
            known
            and record.status is belief.status
            and record.status not in TROUBLED
            and steady(record.last, result)
        )
        returned = record.unseen is not None and belief.unseen is None
        record.take(result, belief)
        if belief.status is EdgeStatus.PASSING:
            self.causes.recovered(key)
        self._judge(key, result.outcome, belief)
        if result.session is not None and not isinstance(result.outcome, Inconclusive):
            census = self.census.of(key)
            census.sessions = census.sessions or Counter()
            census.sessions[result.session.outcome] += 1
        if result.timings.lag <= self.series.lag_bound:
            self.series.histograms.edge(result)
        else:
            self.agent.count(families.AGENT_UNTRUSTED_TIMINGS, check=key.check)
        if unchanged:
            self.series.steady(record, target)
        else:
            self.series.edge(record)
            self.series.target(target)
        if returned:
            self.compare(target)

    def record_flow(
        self, result: FlowResult, diagnosis: Diagnosis, status: EdgeStatus, since: float
    ) -> None:
        """Take in one run of a flow, its diagnosis, and the state that follows from it."""
        target = self.target_of(result.key.check, result.key.target)
        if target is None:
            return
        belief = self._believed(target, result, status, since)
        if result.lag > self.series.lag_bound:
            self.agent.count(families.AGENT_UNTRUSTED_TIMINGS, check=result.key.check)
        self._flow_book.record(target, result, diagnosis, belief)
        if belief.status is EdgeStatus.PASSING:
            self.flow_causes.recovered(result.key)
        self._judge(result.key, result.outcome, belief)

    def record_resolution(self, result: ResolveResult) -> None:
        """Take in what a provider's DNS said for one target."""
        key = result.key
        target = self.target_of(key.check, key.target)
        if target is None:
            return
        record = target.resolutions.get(key)
        if record is None:
            record = ResolveRecord(key, result.at, result.resolution)
            target.resolutions[key] = record
            self.census.add(key)
        record.take(result)
        failure = result.resolution.failure
        if failure is None or not failure.ours:
            self.seen(target, key, result.at)
            record.unseen = None
            record.status = EdgeStatus.FAILING if record.lost else EdgeStatus.PASSING
        self.census.judge(key, record.status, record.failing_since or result.at, record.failed)
        if failure is None:
            self.unresolved.pop(key, None)
            self._count(key, Passed())
        else:
            self.unresolved[key] = record
            self._count(key, Inconclusive(failure) if failure.ours else Failed(failure))
        self._name(target, result)
        self.series.resolution(record)
        self.series.target(target)

    def record_named(self, key: ProviderKey, named: NameFindings | None) -> None:
        """Take in what DNS says about a target's name besides addresses; None: nobody asks."""
        target = self.target_of(key.check, key.target)
        record = None if target is None else target.resolutions.get(key)
        if record is not None and record.named != named:
            record.named = named
            self.series.resolution(record)

    def record_split(self, split: CertificateSplit) -> None:
        """Take in how the leaves of one target and key type compare across edges."""
        target = self.targets.get(TargetKey(split.key.check, split.key.target))
        if target is None:
            return
        before = target.splits.get(split.key)
        if before == split:
            return
        target.splits[split.key] = split
        if split.distinct > 1 or split.since is not None:
            self.differing[split.key] = split
        else:
            self.differing.pop(split.key, None)
        self.series.certificates(split.key, target)
        changed = set(split.minority) ^ set(before.minority if before else ())
        for edge in changed & target.edges.keys():
            target.edges[edge].minority = edge in split.minority
            self.series.edge(target.edges[edge])

    def record_leaf(self, key: CertificatesKey, leaf: LeafRecord) -> None:
        """Take in which certificate a provider serves, and how often that changed."""
        target = self.targets.get(TargetKey(key.check, key.target))
        if target is not None:
            target.leaves[key] = leaf
            self.series.certificates(key, target)

    def note(self, transition: Transition) -> None:
        """Keep a change of state for the page."""
        self.journal.appendleft(transition)
        self.history.add(transition)

    # ------------------------------------------------------------ reading

    def refresh(self) -> Iterator[None]:
        """Bring the series up to date, in short steps: silence, and the counts of providers."""
        yield from self.sweep()
        providers = self.series.tables.provider
        causes, flow_causes = (yield from self._causes()), self._causes_of_flows()
        for through, census in list(self.census.providers.items()):
            samples = [
                *provider_samples(census),
                *cause_samples(families.EDGE_CAUSE, causes.get(through, {})),
                *cause_samples(families.FLOW_CAUSE, flow_causes.get(through, {})),
            ]
            providers.set(through, samples)
            yield
        for through in [one for one in providers if one not in self.census.providers]:
            providers.drop(through)
        self.series.tables.agent.set("", list(self.agent.samples()))
        yield

    # ------------------------------------------------------------ inside

    def _causes(self) -> Generator[None, None, EdgeCounts]:
        """Count edges by cause. A defect costs these series, and no other."""
        try:
            return (yield from self.causes.counted())
        except Exception as error:
            self.agent.on_defect("report", trace(error))
            return {}

    def _causes_of_flows(self) -> EdgeCounts:
        """Count flows by cause. A defect costs these series, and no other."""
        try:
            return self.flow_causes.counted()
        except Exception as error:
            self.agent.on_defect("report", trace(error))
            return {}

    def _investigated(self, found: Investigation | FlowInvestigation) -> None:
        check, cause = found.subject.check, found.cause.value
        self.agent.count(families.AGENT_INVESTIGATIONS, check=check, cause=cause)

    def _still_fails(self, key: EdgeKey, failure: Failure) -> bool:
        """Whether an edge is confirmed to fail like this; one that flaps may vary the reason."""
        target = self.targets.get(TargetKey(key.check, key.target))
        record = None if target is None else target.edges.get(key)
        if record is None or record.unseen is not None or record.status not in CONFIRMED:
            return False
        last = None if record.evidence is None else record.evidence.outcome
        if not isinstance(last, Failed) or last.failure.phase is not failure.phase:
            return False
        return record.status is EdgeStatus.FLAPPING or last.failure.reason is failure.reason

    def _flow_still_fails(self, key: FlowKey, found: FlowInvestigation) -> bool:
        """Whether a flow is confirmed to fail like this; one that flaps may vary the reason.

        What is said of one call alone is over once that call is not the one that fails.
        """
        record = self.flows.get(key)
        if record is None or record.unseen is not None or record.status not in CONFIRMED:
            return False
        run = record.evidence
        last = None if run is None else run.outcome
        if run is None or not isinstance(last, Failed):
            return False
        failing = [one.step for one in run.steps if isinstance(one.outcome, Failed)]
        if found.cause is FlowCause.ENDPOINT and found.step not in failing:
            return False
        failure = found.failure
        same = (last.failure.phase, last.failure.reason) == (failure.phase, failure.reason)
        return record.status is EdgeStatus.FLAPPING or same

    def _name(self, target: TargetRecord, result: ResolveResult) -> None:
        """Note since when DNS no longer names an edge that is still probed."""
        lost = {edge.label: edge.unnamed for edge in result.resolution.edges}
        for record in target.edges.values():
            if record.key.through != result.key:
                continue
            unnamed = lost.get(record.key.edge)
            if (unnamed is None) == (record.unnamed is None):
                continue
            record.unnamed = None if unnamed is None else result.at - unnamed
            self.census.name(record.key, named=unnamed is None)
            self.series.edge(record)

    def _believed(
        self,
        target: TargetRecord,
        result: TlsResult | FlowResult,
        status: EdgeStatus,
        since: float,
    ) -> Belief:
        """What is believed after a result: one that is inconclusive has seen nothing.

        Args:
            target: the record of the result's target.
            result: of an edge or flow.
            status: what the judged results so far speak for.
            since: wall time at which that began.
        """
        if not isinstance(result.outcome, Inconclusive):
            self.seen(target, result.key, result.at, status)
            return Belief(status, since)
        unseen = self.silence.unseen.get(result.key)
        if unseen is None:
            return Belief(status, since)
        if status in TROUBLED:
            return Belief(status, since, unseen.since)
        return Belief(EdgeStatus.UNSEEN, unseen.since, unseen.since)

    def _judge(self, key: EdgeKey | FlowKey, outcome: Outcome, belief: Belief) -> None:
        """Count a result over its provider, and what is believed after it."""
        self.census.of(key).tally.add(outcome)
        failure = outcome.failure if isinstance(outcome, Failed) else None
        self.census.judge(key, belief.status, belief.since, failure)
        self._count(key, outcome)

    def _count(self, key: ResultKey, outcome: Outcome) -> None:
        match outcome:
            case Inconclusive(failure):
                if key not in self.blind:
                    self.census.blind(key, True)
                self.blind[key] = failure
                phase, reason = failure.phase.value, failure.reason.value
                family = families.AGENT_INCONCLUSIVE
                self.agent.count(family, check=key.check, phase=phase, reason=reason)
                return
            case Failed(failure) if failure.reason is Reason.UNKNOWN:
                self.agent.count(families.AGENT_UNKNOWN_REASONS, check=key.check)
        if self.blind.pop(key, None) is not None:
            self.census.blind(key, False)
