"""What is remembered of everything probed, and how things go from it with all they left.

It watches for silence. It is told of all that is to be judged, not of what was: a run that gives
nothing, a key that is stuck, a runner that died make no difference to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import assert_never

from probe.model.failure import Failure
from probe.model.spec import Check
from probe.model.state import EdgeStatus, Transition
from probe.model.target import EdgeKey, FlowKey, ProviderKey, Target
from probe.serve.census import Census
from probe.serve.memory.history import TargetHistory
from probe.serve.memory.planned import PlannedBook
from probe.serve.records import (
    TROUBLED,
    CertificatesKey,
    CertificateSplit,
    EdgeRecord,
    FlowRecord,
    ResolveRecord,
    ResultKey,
    TargetKey,
    TargetRecord,
)
from probe.serve.series.tables import Series
from probe.serve.series.target_samples import target_info_samples
from probe.state.silence import Silence

PART = 500
"""Targets in one short step: a few milliseconds."""


class Memory:
    """Records by target, and indexes of what a person wants to see without a search.

    Args:
        region: where the agent runs; a label of every series.
        clock: monotonic seconds, by which silence is measured.
        wall: seconds since the epoch.
        tell: told when the first of a provider becomes unseen, and when nothing of it is any
            more: thousands of edges may fall silent at once.

    Attributes:
        series: what Prometheus reads of it.
        checks: the running checks by name.
        listed: the targets of each check, by label.
        targets: everything that is probed.
        flows: every flow among it.
        census: counts per provider.
        planned: what a maintenance window covers now.
        silence: what nobody has judged for too long, of all that is to be judged.
        blind: edges, flows and names whose latest result was inconclusive.
        unresolved: name resolutions whose latest question failed.
        differing: certificates that differ across edges now.
        history: recent changes of state by target.
    """

    def __init__(
        self,
        region: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
        tell: Callable[[Transition], object],
    ) -> None:
        self.region = region
        self._clock = clock
        self._wall = wall
        self._tell = tell
        self.series = Series(region)
        self.checks: dict[str, Check] = {}
        self.listed: dict[str, dict[str, Target]] = {}
        self.targets: dict[TargetKey, TargetRecord] = {}
        self.flows: dict[FlowKey, FlowRecord] = {}
        self.census = Census()
        self.planned = PlannedBook(region, self.census, self.series.tables)
        self.silence: Silence[ResultKey] = Silence()
        self.blind: dict[ResultKey, Failure] = {}
        self.unresolved: dict[ProviderKey, ResolveRecord] = {}
        self.differing: dict[CertificatesKey, CertificateSplit] = {}
        self.history = TargetHistory()

    def set_targets(self, check: str, targets: Sequence[Target]) -> None:
        """Do as `retarget`, at once."""
        for _ in self.retarget(check, targets):
            pass

    def retarget(self, check: str, targets: Sequence[Target]) -> Iterator[None]:
        """Tell all targets of a check, in short steps.

        Others are forgotten, and late results of theirs are ignored.
        """
        before = self.listed.get(check, {})
        listed: dict[str, Target] = {}
        for start in range(0, len(targets), PART):
            listed |= {target.label: target for target in targets[start : start + PART]}
            yield
        self.listed[check] = listed
        for place, record in enumerate(list(self.targets.values())):
            if record.key.check == check and record.key.target not in listed:
                self.forget_target(record)
            if place % PART == PART - 1:
                yield
        tables = self.series.tables
        for place, name in enumerate(before):
            if name not in listed:
                tables.target_info.drop(TargetKey(check, name))
            if place % PART == PART - 1:
                yield
        for place, (name, target) in enumerate(listed.items()):
            if name not in before or before[name].labels != target.labels:
                tables.target_info.set(TargetKey(check, name), target_info_samples(target.labels))
            if place % PART == PART - 1:
                yield

    def target_of(self, check: str, name: str) -> TargetRecord | None:
        """The record of a target, made when new; None for one that was removed meanwhile."""
        listed = self.listed.get(check)
        if (listed is not None and name not in listed) or (
            self.checks and check not in self.checks
        ):
            return None
        key = TargetKey(check, name)
        record = self.targets.get(key)
        if record is None:
            record = self.targets[key] = TargetRecord(key)
        return record

    def of(self, key: ResultKey) -> EdgeRecord | FlowRecord | ResolveRecord | None:
        """The record of an edge, flow or name; None before its first result."""
        target = self.targets.get(TargetKey(key.check, key.target))
        if target is None:
            return None
        match key:
            case EdgeKey():
                return target.edges.get(key)
            case FlowKey():
                return target.flows.get(key)
            case ProviderKey():
                return target.resolutions.get(key)

    def forget(self, keys: Iterable[ResultKey]) -> None:
        """Remove edges, flows, or (by a provider's key) all of a target through a provider."""
        for key in keys:
            record = self.targets.get(TargetKey(key.check, key.target))
            if record is None:
                self._gone(key)
            else:
                self._remove(record, key)
                self._settle(record)

    def forget_target(self, record: TargetRecord) -> None:
        """Remove a target with everything under it."""
        for key in [*record.edges, *record.flows, *record.resolutions, *record.missing]:
            self._remove(record, key)
        self._settle(record)

    def forget_split(self, key: CertificatesKey) -> None:
        """Remove a comparison of which no edge is left."""
        record = self.targets.get(TargetKey(key.check, key.target))
        if record is not None:
            record.splits.pop(key, None)
            self.differing.pop(key, None)
            self.series.certificates(key, record)

    def _settle(self, record: TargetRecord) -> None:
        """Write a target's series after something of it was removed."""
        if record.empty:
            self.targets.pop(record.key, None)
            self.history.forget(record.key)
            self._forget_certificates(record, [*record.splits, *record.leaves])
        self.series.target(record)

    def _gone(self, key: ResultKey) -> None:
        """What is not to be judged any more."""
        self.census.remove(key)
        self.silence.forget(key)
        self.blind.pop(key, None)

    def _remove(self, record: TargetRecord, key: ResultKey) -> None:
        self._gone(key)
        record.met(key)
        match key:
            case EdgeKey():
                record.edges.pop(key, None)
                self.series.tables.edge.drop(key)
            case FlowKey():
                self._remove_flow(record, key)
            case ProviderKey():
                self._remove_provider(record, key)
            case _:
                assert_never(key)

    def _remove_flow(self, record: TargetRecord, key: FlowKey) -> None:
        self.series.tables.flow.drop(key)
        self.flows.pop(key, None)
        flow = record.flows.pop(key, None)
        if flow is not None:
            for step in flow.steps:
                self.series.tables.step.drop(step)
            self.series.personas(record, key)

    def _remove_provider(self, record: TargetRecord, key: ProviderKey) -> None:
        for one in [*record.edges, *record.flows, *record.missing]:
            if one.provider == key.provider:
                self._remove(record, one)
        record.resolutions.pop(key, None)
        self.unresolved.pop(key, None)
        self.series.tables.resolve.drop(key)
        known = [*record.splits, *record.leaves]
        self._forget_certificates(record, [one for one in known if one.provider == key.provider])

    def _forget_certificates(self, record: TargetRecord, keys: Iterable[CertificatesKey]) -> None:
        for key in keys:
            record.splits.pop(key, None)
            record.leaves.pop(key, None)
            self.differing.pop(key, None)
            self.series.tables.certificates.drop(key)

    # ------------------------------------------------------------ silence

    def expect(self, key: ResultKey, interval: float) -> None:
        """Something is to be judged every ``interval`` seconds; when it is not, it is unseen."""
        target = self.target_of(key.check, key.target)
        if target is None:
            return
        new = key not in self.silence
        self.silence.expect(key, interval, self._clock(), self._wall())
        self.census.add(key)
        if new:
            target.expect(key)
            if target.edges or target.flows:
                self.series.target(target)  # not all of it is known any more

    def seen(
        self,
        target: TargetRecord,
        key: ResultKey,
        at: float,
        status: EdgeStatus = EdgeStatus.PASSING,
    ) -> None:
        """Something was judged, by an attempt that began at this wall time."""
        if not self.silence.judged(key, self._clock(), at):
            return
        target.met(key)
        if target.edges or target.flows:
            self.series.target(target)  # no more than numbers may be written after this result
        if self.census.see(key):
            self._tell(Transition(key, EdgeStatus.UNSEEN, status, at, self._wall()))

    def sweep(self) -> Iterator[None]:
        """Take out of health what nobody judged for too long, in short steps; see what is planned.

        Whoever reads the store does this first: so what is read holds even when everything that
        should look, or sweep, is dead.
        """
        for key in self.silence.due(self._clock()):
            if key is not None:
                self._unsee(key)
            yield
        yield from self.planned.look(self._wall())

    def compare(self, target: TargetRecord) -> None:
        """Write anew how a target's certificates compare, after edges were lost or found."""
        for key in target.splits:
            self.series.certificates(key, target)

    def _unsee(self, key: ResultKey) -> None:
        target = self.targets.get(TargetKey(key.check, key.target))
        if target is None:
            self.forget([key])
            return
        since = self.silence.unseen[key].since
        target.missing[key] = True
        record = self.of(key)
        if self.census.unsee(key, since):
            before = EdgeStatus.UNKNOWN if record is None else record.status
            note = "nobody has judged it since"
            change = Transition(key, before, EdgeStatus.UNSEEN, since, self._wall(), note=note)
            self._tell(change)
        if record is None:
            self.series.unlooked(key, since)
            self.census.judge(key, EdgeStatus.UNSEEN, since, None)
        else:
            self._turn(target, record, since)
        self.series.target(target)

    def _turn(
        self, target: TargetRecord, record: EdgeRecord | FlowRecord | ResolveRecord, since: float
    ) -> None:
        """Take a record out of health; what failed goes on failing until it is seen to pass."""
        record.unseen = since
        if record.status not in TROUBLED:
            record.status = EdgeStatus.UNSEEN
            self.census.judge(record.key, record.status, since, None)
        match record:
            case EdgeRecord():
                record.since = since if record.status is EdgeStatus.UNSEEN else record.since
                self.series.edge(record)
                self.compare(target)
            case FlowRecord():
                record.since = since if record.status is EdgeStatus.UNSEEN else record.since
                self.series.flow(record)
                self.series.personas(target, record.key)
            case ResolveRecord():
                self.series.resolution(record)
