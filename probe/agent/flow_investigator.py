"""Finds out why flows fail: starts on confirmed failures, and costs nothing while all goes well.

One investigation at a time is made of each group: failures of one check, provider and reason. As
for edges, nothing depends on it: when it crashes, a failure lacks its sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import trio

from probe.agent.flow_experiments import (
    Ask,
    FlowScene,
    addresses_of,
    change_of,
    failing_call,
    flow_experiment,
    known_calls,
    slowest_of,
    written,
)
from probe.agent.jobs import persona_of
from probe.agent.log import EventLog
from probe.agent.process import Crashed
from probe.http.session import Resolve
from probe.model.cause import Observed
from probe.model.failure import Failure, Phase, Reason, trace
from probe.model.flow import ApiCheck
from probe.model.flow_cause import FlowCause, FlowExperiment, FlowInvestigation
from probe.model.result import Failed, FlowResult, Passed, StepResult
from probe.model.state import CONFIRMED, Diagnosis
from probe.model.target import FlowKey, Target
from probe.probers.flow import FlowProber
from probe.serve import Store
from probe.state.causes.allowance import Allowance
from probe.state.causes.calls import Call, CallTrial, SeenCall, calls_of, observed
from probe.state.causes.flow_planner import FlowPlanner, FlowSettled, FlowTally
from probe.state.causes.flow_recent import RecentCalls
from probe.state.causes.flow_words import sentence
from probe.state.diagnosis.evidence import Mark
from probe.state.history import History

SETTLE = 1.0
"""Seconds from a confirmed failure to the first experiment."""

LONGEST = 40.0
"""Most seconds of one investigation."""

CALLS, AT_HOST = 120, 40
"""Calls a minute of one agent, and to one host."""

_PATIENCE = 8.0  # seconds for a fault that comes and goes
_PAUSE = 0.5
_JOINABLE = 60.0  # seconds that what was found speaks for a flow that fails later
_AT_ONCE = 8
_TIDY = 30.0
_MOST_WAITING = 1000


class Flows(Protocol):
    """The flows that run now."""

    def check(self, name: str) -> ApiCheck | None:
        """Return a check; None when it is gone."""

    def targets(self, check: str) -> Mapping[FlowKey, Target]:
        """Return every flow of a check with its target."""

    def resolver(self, key: FlowKey) -> Resolve:
        """Return what finds addresses for a flow."""


class FlowGroup(NamedTuple):
    """Failures that are investigated together: of one call, in one way."""

    check: str
    provider: str
    step: str
    phase: Phase
    reason: Reason


class _Failing(NamedTuple):
    """A flow that is confirmed to fail.

    Attributes:
        chosen: the call to investigate; None where none can be asked by itself.
        onset: wall time of its first failed run.
    """

    failure: Failure
    chosen: tuple[SeenCall, StepResult] | None
    onset: float

    @property
    def step(self) -> str:
        """Name of that call; empty where there is none."""
        return "" if self.chosen is None else self.chosen[0].call.step


class FlowInvestigator:
    """Takes in runs of flows, and finds out why some fail.

    Args:
        prober: makes one call.
        flows: what runs now.
        store: keeps what was found.
        log: one line for each investigation.
        wall: seconds since the epoch.
        crashed: told what our own code did wrong.
    """

    def __init__(
        self,
        prober: FlowProber,
        flows: Callable[[], Flows],
        store: Store,
        log: EventLog,
        wall: Callable[[], float],
        crashed: Crashed,
    ) -> None:
        self.on = True
        self._prober = prober
        self._flows = flows
        self._store = store
        self._log = log
        self._wall = wall
        self._crashed = crashed
        self._recent = RecentCalls()
        self._allowance = Allowance(CALLS, AT_HOST)
        self._failing: dict[FlowKey, _Failing] = {}
        self._tried: dict[FlowKey, set[FlowGroup]] = {}
        self._waiting: dict[FlowGroup, dict[FlowKey, None]] = {}
        self._running: set[FlowGroup] = set()
        self._wake = trio.Event()

    def saw(self, run: FlowResult, history: History, diagnosis: Diagnosis) -> None:
        """Take in a run, and what is believed after it. Never raises."""
        if not self.on:
            self._failing.clear()
            self._tried.clear()
            return
        try:
            self._take(run, history, diagnosis)
        except Exception as error:  # it may cost a sentence, and nothing else
            self._crashed("causes", trace(error))

    def _take(self, run: FlowResult, history: History, diagnosis: Diagnosis) -> None:
        key, check = run.key, self._flows().check(run.key.check)
        if check is None:
            return
        if isinstance(run.outcome, Failed):
            self._recent.watch(key.check, trio.current_time())
        if isinstance(run.outcome, Failed | Passed):
            self._recent.saw(run, check, persona_of(check, key.persona))
        if history.status not in CONFIRMED:
            self._failing.pop(key, None)
            self._tried.pop(key, None)
            return
        failure = history.failure
        if failure is None or diagnosis.fails_open or not isinstance(run.outcome, Failed):
            return
        onset = history.since if history.bad_at is None else min(history.since, history.bad_at)
        seen = calls_of(run, check, persona_of(check, key.persona))
        chosen = failing_call(run, seen, diagnosis.steps)
        known = self._failing[key] = _Failing(failure, chosen, onset)
        group = _group(key, failure, known.step)
        if group in self._tried.get(key, ()):
            return
        waiting = self._waiting.setdefault(group, {})
        if len(waiting) < _MOST_WAITING:
            self._tried.setdefault(key, set()).add(group)
            waiting[key] = None
            self._wake.set()

    def forget(self, key: FlowKey) -> None:
        """Keep nothing of a flow that is gone."""
        self._failing.pop(key, None)
        self._tried.pop(key, None)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Investigate whatever fails, until cancelled."""
        self._running.clear()
        limit = trio.CapacityLimiter(_AT_ONCE)
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                with trio.move_on_after(_TIDY):
                    await self._wake.wait()
                self._recent.tidy(trio.current_time())
                if not self._wake.is_set():
                    continue
                self._wake = trio.Event()
                await trio.sleep(SETTLE)
                for group in [one for one in self._waiting if one not in self._running]:
                    self._running.add(group)
                    nursery.start_soon(self._settle, group, limit)

    async def _settle(self, group: FlowGroup, limit: trio.CapacityLimiter) -> None:
        """Investigate one group until all of its failing flows are explained."""
        try:
            while waiting := self._waiting.pop(group, None):
                async with limit:
                    while waiting:
                        key = next(iter(waiting))
                        del waiting[key]
                        new = self._joins(key, group) or await self._investigate(key, group)
                        for other in () if new is None else new.keys:
                            waiting.pop(other, None)
        finally:
            self._running.discard(group)

    def _joins(self, key: FlowKey, group: FlowGroup) -> FlowInvestigation | None:
        """Return an earlier investigation that explains a flow as well, and say so."""
        for found, _ in list(self._store.flow_causes.current()):
            same = _group(found.subject, found.failure, found.step) == group
            fresh = self._wall() - found.ended < _JOINABLE
            if same and fresh and found.subject != key and found.cause not in _OF_ONE:
                self._store.flow_causes.join(key, found)
                return found
        return None

    async def _investigate(self, key: FlowKey, group: FlowGroup) -> FlowInvestigation | None:
        """Find out why one flow fails. None when it fails no more, or nothing can be asked."""
        known, check = self._failing.get(key), self._flows().check(key.check)
        if known is None or check is None or not self.on:
            return None
        if known.chosen is None:
            return None  # a program, or time ran out: nothing that can be asked by itself
        failing, result = known.chosen
        began = self._wall()
        with self._store.flow_causes.investigating(key):
            scene = await self._scene(key, check, known, failing, result)
            planner = FlowPlanner(scene.setting())
            made: list[FlowExperiment] = []
            settled: FlowSettled | None = None
            if failing.mark is Mark.LIMITED:
                settled = FlowSettled(FlowCause.RATE_LIMIT)
            else:
                with trio.move_on_after(LONGEST):
                    settled = await self._ask(planner, scene, made, known.onset)
        settled = settled or planner.undetermined()
        if key not in self._failing or not self.on:
            return None  # it recovered meanwhile: there is nothing to explain
        told = sentence(
            settled, planner.setting, planner.evidence, scene.failure, result.evidence.status
        )
        found = FlowInvestigation(
            settled.cause,
            key,
            failing.call.step,
            known.failure,
            told,
            began,
            self._wall(),
            (*self._written(scene, known.onset), *made),
            settled.share,
            self._explained(key, group, settled),
            settled.left,
            planner.spent,
        )
        self._store.flow_causes.record(found)
        fields = found.fields()
        kept = {name: value for name, value in fields.items() if value not in (None, "", [])}
        self._log.warning("cause", **kept)
        return found

    async def _scene(
        self,
        key: FlowKey,
        check: ApiCheck,
        known: _Failing,
        failing: SeenCall,
        result: StepResult,
    ) -> FlowScene:
        flows = self._flows()
        targets = flows.targets(key.check)
        resolve = flows.resolver(key)
        seen = [
            (one, call)
            for one in targets
            for call in self._recent.since([one], known.onset, known.onset)
        ]
        others = await addresses_of(resolve, result.evidence.request, failing.call.address)
        return FlowScene(
            key,
            check,
            targets,
            failing,
            result,
            known_calls(seen),
            flows.resolver,
            addresses=others,
            slowest=slowest_of(call for _, call in seen),
        )

    async def _ask(
        self, planner: FlowPlanner, scene: FlowScene, made: list[FlowExperiment], onset: float
    ) -> FlowSettled:
        """Ask until the planner has settled on a cause, or there is nothing left to ask."""
        deadline = trio.current_time() + _PATIENCE
        while True:
            planner.regular(self._regular(scene, onset))
            await trio.lowlevel.checkpoint()
            settled = planner.settled()
            late = not planner.random or trio.current_time() >= deadline
            if settled is not None and (settled.cause is not FlowCause.UNDETERMINED or late):
                return settled
            asked = planner.ask()
            if late and not asked:  # what is left costs more than is left to spend
                return planner.undetermined()
            async with trio.open_nursery() as nursery:
                for trial in asked:
                    nursery.start_soon(
                        _one, planner, self._made_by(scene), trial, made, nursery.cancel_scope
                    )
            if planner.random:
                await trio.sleep(_PAUSE)

    def _made_by(self, scene: FlowScene) -> Ask:
        async def make(
            trial: CallTrial,
        ) -> list[tuple[FlowExperiment, Call, Observed | None]]:
            for _ in range(2 if trial.logs_in and trial.call.authorized else 1):
                wait = self._allowance.take(trial.call.host, trio.current_time())
                while wait > 0:
                    await trio.sleep(wait)
                    wait = self._allowance.take(trial.call.host, trio.current_time())
            return await flow_experiment(self._prober, scene, trial)

        return make

    def _regular(self, scene: FlowScene, onset: float) -> dict[Call, FlowTally]:
        """Count what regular runs of the check have shown since the flow began to fail."""
        found: dict[Call, FlowTally] = {}
        broken = self._recent.broken(scene.key, onset)
        for one in self._recent.since(list(scene.targets), onset, broken):
            outcome = observed(one.mark, scene.failing.mark)
            if outcome is not None:
                found.setdefault(one.call, FlowTally()).add(outcome)
        return found

    def _written(self, scene: FlowScene, onset: float) -> list[FlowExperiment]:
        """Write regular calls as experiments that cost nothing, those of this flow first."""
        own, lines = scene.failing.call, []
        for call, tally in self._regular(scene, onset).items():
            counts = ((Observed.SAME, tally.failed), (Observed.PASSED, tally.passed))
            for seen, times in (*counts, (Observed.OTHER, tally.other)):
                if times:
                    failure = scene.failure if seen is Observed.SAME else None
                    change = change_of(call, own)
                    lines.append(written(change, call, seen, failure, regular=True, times=times))
        return sorted(lines, key=lambda one: one.persona != own.persona or one.target != own.target)

    def _explained(
        self, key: FlowKey, group: FlowGroup, settled: FlowSettled
    ) -> frozenset[FlowKey]:
        """Return the flows that fail for the same cause."""
        alike = {
            one
            for one, known in self._failing.items()
            if one.check == key.check and _group(one, known.failure, known.step) == group
        }
        if settled.cause is FlowCause.ONE_TARGET:
            alike = {one for one in alike if one.target in settled.members}
        elif settled.cause is FlowCause.ONE_PERSONA:
            alike = {one for one in alike if one.persona in settled.members}
        elif settled.cause is FlowCause.UNDETERMINED:
            alike = {one for one in alike if one.target == key.target}
        return frozenset({key, *alike})


_OF_ONE = frozenset({FlowCause.ONE_TARGET, FlowCause.ONE_PERSONA, FlowCause.UNDETERMINED})


async def _one(
    planner: FlowPlanner,
    make: Ask,
    trial: CallTrial,
    made: list[FlowExperiment],
    round_: trio.CancelScope,
) -> None:
    """Make one experiment. Where it leaves one cause, those beside it are not waited for.

    A fault that comes and goes is different: what passes answers before what hangs.
    """
    told = False
    for line, call, seen in await make(trial):
        made.append(line)
        planner.observe(call, seen)
        told = told or seen in (Observed.PASSED, Observed.SAME)
    if not told:
        planner.useless(trial)
    if not planner.random and planner.named():
        round_.cancel()


def _group(key: FlowKey, failure: Failure, step: str) -> FlowGroup:
    return FlowGroup(key.check, key.provider, step, failure.phase, failure.reason)
