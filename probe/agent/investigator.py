"""Finds out why edges fail: starts on confirmed failures, and costs nothing while all goes well.

One investigation at a time is made of each group: failures of one check, provider and reason. Edges
that fail together are settled by one, however many domains they serve. Nothing depends on it: when
it crashes, a failure lacks its sentence, and everything else is said as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import trio

from probe.agent.experiments import (
    Around,
    Probe,
    Scene,
    as_regular,
    experiment,
    investigate,
    observed,
    scene_of,
)
from probe.agent.log import EventLog
from probe.agent.process import Crashed
from probe.model.cause import Experiment, Investigation, Observed
from probe.model.failure import Failure, Phase, Reason, trace
from probe.model.result import Inconclusive, TlsResult
from probe.model.spec import TlsCheck
from probe.model.state import CONFIRMED, EdgeStatus, Transition
from probe.model.target import EdgeKey
from probe.serve import Store
from probe.state.causes import Planner, Settled, Trial
from probe.state.causes.allowance import Allowance
from probe.state.causes.extent import explained
from probe.state.causes.hypotheses import Outcomes
from probe.state.causes.recent import Recent
from probe.state.history import History

SETTLE = 1.0
"""Seconds from a confirmed failure to the first experiment: what fails together is confirmed
together, and needs no experiments then."""

LONGEST = 30.0
"""Most seconds of one investigation."""

_PATIENCE = 8.0  # seconds for a fault that comes and goes
_PAUSE = 0.4  # seconds between its rounds, in which regular attempts go on
_AT_ONCE = 4
_TIDY = 30.0  # seconds after which what is suspected no more is forgotten
_MOST_WAITING = 10_000


class Group(NamedTuple):
    """Failures that are investigated together."""

    check: str
    provider: str
    phase: Phase
    reason: Reason


class Investigator:
    """Takes in what is seen of edges, and finds out why some fail.

    Args:
        probe: makes one attempt.
        check: gives a check by its name; None when it is gone.
        around: everything that is probed.
        histories: of a check's edges.
        store: keeps what was found.
        log: one line for each investigation.
        wall: seconds since the epoch.
        crashed: told what our own code did wrong.
    """

    def __init__(
        self,
        probe: Probe,
        check: Callable[[str], TlsCheck | None],
        around: Callable[[], Around],
        histories: Callable[[str], Mapping[EdgeKey, History]],
        store: Store,
        log: EventLog,
        wall: Callable[[], float],
        crashed: Crashed,
    ) -> None:
        self.on = True
        self._probe = probe
        self._check = check
        self._around = around
        self._histories = histories
        self._store = store
        self._log = log
        self._wall = wall
        self._crashed = crashed
        self._recent = Recent()
        self._allowance = Allowance()
        self._waiting: dict[Group, dict[EdgeKey, None]] = {}
        self._running: set[Group] = set()
        self._wake = trio.Event()

    def saw(self, result: TlsResult, change: Transition | None) -> None:
        """Take in an attempt, and the change of state that it led to. Never raises."""
        check = self._check(result.key.check)
        if not self.on or (check is not None and check.plain):  # there are no clients to compare
            return
        try:
            self._take(result, change)
        except Exception as error:  # it may cost a sentence, and nothing else
            self._crashed("causes", trace(error))

    def _take(self, result: TlsResult, change: Transition | None) -> None:
        if not isinstance(result.outcome, Inconclusive):
            self._recent.saw(result.key, result.at, result.outcome)
        if change is None:
            return
        if change.after == EdgeStatus.SUSPECT:
            self._recent.watch(result.key, trio.current_time())
        elif change.after in CONFIRMED and change.failure is not None:
            self._recent.watch(result.key, trio.current_time())
            waiting = self._waiting.setdefault(_group(result.key, change.failure), {})
            if len(waiting) < _MOST_WAITING:
                waiting[result.key] = None
            self._wake.set()

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

    async def _settle(self, group: Group, limit: trio.CapacityLimiter) -> None:
        """Investigate one group until all of its failing edges are explained."""
        try:
            while waiting := self._waiting.pop(group, None):
                async with limit:
                    await self._through(group, waiting)
        finally:
            self._running.discard(group)

    async def _through(self, group: Group, waiting: dict[EdgeKey, None]) -> None:
        for found, keys in list(self._store.causes.current()):
            if _group(found.subject, found.failure) == group:
                failing = self._failing(group)
                known = explained(found.cause, found.subject, found.failure, failing)
                for key in [key for key in waiting if key in known and key not in keys]:
                    self._store.causes.join(key, found.subject)
                    del waiting[key]
        while waiting:
            key = next(iter(waiting))
            del waiting[key]
            new = await self._investigate(group, key)
            for other in () if new is None else new.keys:
                waiting.pop(other, None)

    async def _investigate(self, group: Group, key: EdgeKey) -> Investigation | None:
        """Find out why one edge fails. None when it fails no more."""
        history, check = self._histories(group.check).get(key), self._check(group.check)
        failure = None if history is None else history.failure
        if history is None or check is None or failure is None or history.status not in CONFIRMED:
            return None
        scene = scene_of(key, failure, check, self._around(), self._rank)
        if scene is None:
            return None
        began = self._wall()
        onset = history.since if history.bad_at is None else min(history.since, history.bad_at)
        planner = Planner(scene.setting())
        settled: Settled | None = None
        made: list[Experiment] = []
        with self._store.causes.investigating(key, failure), trio.move_on_after(LONGEST):
            settled = await investigate(
                planner,
                made,
                lambda trial: self._experiment(scene, trial),
                lambda: self._regular(scene, onset),
                patience=_PATIENCE,
                pause=_PAUSE,
            )
        settled = settled or planner.undetermined()  # time is up
        regular = as_regular(scene, self._regular(scene, onset))
        failing = self._failing(group)
        if key not in failing:
            return None  # it recovered meanwhile: there is nothing to explain
        keys = explained(settled.cause, key, failure, failing)
        found = Investigation(
            settled.cause,
            key,
            failure,
            began,
            self._wall(),
            (*regular, *made),
            settled.share,
            tuple(sorted({one.target for one in keys})),
            tuple(sorted({one.edge for one in keys})),
            keys,
            settled.left,
            planner.spent,
        )
        self._store.causes.record(found)
        self._tell(found)
        return found

    async def _experiment(self, scene: Scene, trial: Trial) -> Experiment:
        wait = self._allowance.take(trial.edge, trio.current_time())
        while wait > 0:
            await trio.sleep(wait)
            wait = self._allowance.take(trial.edge, trio.current_time())
        return await experiment(self._probe, scene, trial)

    def _regular(self, scene: Scene, onset: float) -> dict[Trial, Outcomes]:
        """Count what regular attempts have shown since the edge began to fail."""
        found: dict[Trial, Outcomes] = {}
        for trial in scene.setting().trials():
            key = scene.key_of(trial)
            if key is None:
                continue
            tally = Outcomes()
            for outcome in self._recent.since(key, onset):
                match observed(outcome, scene.failure):
                    case Observed.PASSED:
                        tally.passed += 1
                    case Observed.SAME:
                        tally.failed += 1
                    case Observed.OTHER | Observed.UNCLEAR:
                        tally.other += 1
            if key == scene.key:
                tally = self._own(scene, tally)
            if tally != Outcomes():
                found[trial] = tally
        return found

    def _own(self, scene: Scene, tally: Outcomes) -> Outcomes:
        """Count the attempts on the edge itself: also those before it was watched."""
        history = self._histories(scene.key.check).get(scene.key)
        if history is None:
            return tally
        random = history.status is EdgeStatus.FLAPPING
        return Outcomes(
            max(tally.failed, history.bad if random else history.failures),
            max(tally.passed, history.good) if random else tally.passed,
        )

    def _rank(self, key: EdgeKey) -> tuple[bool, bool]:
        """Order neighbours: those known to pass first, then those that are known at all."""
        history = self._histories(key.check).get(key)
        status = EdgeStatus.UNKNOWN if history is None else history.status
        return status is not EdgeStatus.PASSING, status is EdgeStatus.UNKNOWN

    def _failing(self, group: Group) -> dict[EdgeKey, Failure]:
        """Return every edge of a group's check and provider that is confirmed to fail."""
        return {
            key: history.failure
            for key, history in self._histories(group.check).items()
            if key.provider == group.provider
            and history.status in CONFIRMED
            and history.failure is not None
        }

    def _tell(self, found: Investigation) -> None:
        fields = found.fields()
        fields["experiments"] = [one.line for one in found.experiments]
        fields["seconds"] = round(found.ended - found.began, 3)
        for name in ("began", "ended"):
            del fields[name]
        kept = {name: value for name, value in fields.items() if value not in (None, "", [])}
        self._log.warning("cause", **kept)


def _group(key: EdgeKey, failure: Failure) -> Group:
    return Group(key.check, key.provider, failure.phase, failure.reason)
