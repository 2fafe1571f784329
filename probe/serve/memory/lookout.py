"""The store's watch over silence: what nobody has judged for too long says so, and nothing else.

It is told of all that is to be judged, not of what was: a run that gives nothing, a key that is
stuck, a runner that died make no difference to it. It is asked by whoever reads the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from probe.model.result import FlowResult, Inconclusive, TlsResult
from probe.model.state import EdgeStatus, Transition
from probe.serve.memory.memory import Memory
from probe.serve.records import (
    TROUBLED,
    Belief,
    EdgeRecord,
    FlowRecord,
    ResolveRecord,
    ResultKey,
    TargetKey,
    TargetRecord,
)


class Lookout:
    """Follows what is to be judged.

    Args:
        memory: the records; its ``silence`` holds the time limits.
        clock: monotonic seconds.
        wall: seconds since the epoch.
        tell: told when the first of a provider becomes unseen, and when nothing of it is any
            more: thousands of edges may fall silent at once.
    """

    def __init__(
        self,
        memory: Memory,
        clock: Callable[[], float],
        wall: Callable[[], float],
        tell: Callable[[Transition], object],
    ) -> None:
        self._memory = memory
        self._silence = memory.silence
        self._series = memory.series
        self._clock = clock
        self._wall = wall
        self._tell = tell

    def expect(self, target: TargetRecord, key: ResultKey, interval: float) -> None:
        """Something of a target is to be judged every ``interval`` seconds."""
        new = key not in self._silence
        self._silence.expect(key, interval, self._clock(), self._wall())
        self._memory.census.add(key)
        if new:
            target.expect(key)
            if target.edges or target.flows:
                self._series.target(target)  # not all of it is known any more

    def believed(
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
        unseen = self._silence.unseen.get(result.key)
        if unseen is None:
            return Belief(status, since)
        if status in TROUBLED:
            return Belief(status, since, unseen.since)
        return Belief(EdgeStatus.UNSEEN, unseen.since, unseen.since)

    def seen(
        self,
        target: TargetRecord,
        key: ResultKey,
        at: float,
        status: EdgeStatus = EdgeStatus.PASSING,
    ) -> None:
        """Something was judged, by an attempt that began at this wall time."""
        if not self._silence.judged(key, self._clock(), at):
            return
        target.met(key)
        if target.edges or target.flows:
            self._series.target(target)  # no more than numbers may be written after this result
        if self._memory.census.see(key):
            self._tell(Transition(key, EdgeStatus.UNSEEN, status, at, self._wall()))

    def sweep(self) -> Iterator[None]:
        """Find what became unseen, in short steps."""
        for key in self._silence.due(self._clock()):
            if key is not None:
                self._unsee(key)
            yield

    def compare(self, target: TargetRecord) -> None:
        """Write anew how a target's certificates compare, after edges were lost or found."""
        for split in target.splits.values():
            self._series.split(split, target)

    def _unsee(self, key: ResultKey) -> None:
        target = self._memory.targets.get(TargetKey(key.check, key.target))
        if target is None:
            self._memory.forget([key])
            return
        since = self._silence.unseen[key].since
        target.missing[key] = True
        record = self._memory.of(key)
        if self._memory.census.unsee(key, since):
            before = EdgeStatus.UNKNOWN if record is None else record.status
            note = "nobody has judged it since"
            change = Transition(key, before, EdgeStatus.UNSEEN, since, self._wall(), note=note)
            self._tell(change)
        if record is None:
            self._series.unlooked(key, since)
            self._memory.census.judge(key, EdgeStatus.UNSEEN, since, None)
        else:
            self._turn(target, record, since)
        self._series.target(target)

    def _turn(
        self, target: TargetRecord, record: EdgeRecord | FlowRecord | ResolveRecord, since: float
    ) -> None:
        """Take a record out of health; what failed goes on failing until it is seen to pass."""
        record.unseen = since
        if record.status not in TROUBLED:
            record.status = EdgeStatus.UNSEEN
            self._memory.census.judge(record.key, record.status, since, None)
        match record:
            case EdgeRecord():
                record.since = since if record.status is EdgeStatus.UNSEEN else record.since
                self._series.edge(record)
                self.compare(target)
            case FlowRecord():
                record.since = since if record.status is EdgeStatus.UNSEEN else record.since
                self._series.flow(record)
                self._series.personas(target, record.key)
            case ResolveRecord():
                self._series.resolution(record)
