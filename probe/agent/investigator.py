"""Finds out why edges fail: starts on confirmed failures, and costs nothing while all goes well.

One investigation at a time is made of each group: failures of one check, provider and reason. Edges
that fail together are settled by one, however many domains they serve. Nothing depends on it: when
it crashes, a failure lacks its sentence, and everything else is said as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from probe.model.cause import Cause, Experiment, Investigation, Observed
from probe.model.failure import Failure, Phase, Reason, trace
from probe.model.result import Inconclusive, TlsResult
from probe.model.spec import TlsCheck
from probe.model.state import CONFIRMED, EdgeStatus, Transition
from probe.model.target import EdgeKey
from probe.serve import Store
from probe.state.causes import Planner, Settled, Trial
from probe.state.causes.allowance import Allowance
from probe.state.causes.extent import explained
from probe.state.causes.recent import Recent
from probe.state.causes.setting import Outcomes
from probe.state.history import History

SETTLE = 1.0
"""Seconds from a confirmed failure to the first experiment: what fails together is confirmed
together, and needs no experiments then."""

LONGEST = 30.0
"""Most seconds of one investigation."""

_PATIENCE = 7.0  # seconds for a fault that comes and goes
_PAUSE = 0.4  # seconds between its rounds, in which regular attempts go on
_AT_ONCE = 8
_TIDY = 30.0  # seconds after which what is suspected no more is forgotten
_VALID = {False: 60.0, True: 15.0}  # seconds for which a cause answers for edges that are
# confirmed later, or anew: one that is determined, and one that is not
_LATER = (60.0, 120.0, 240.0, 480.0, 900.0)  # after which it is asked for again anyway, by turns
_OUTDATED = 600.0  # seconds after which an experiment counts no more
_RESTARTS = 2  # a group whose investigation crashed is taken up again so often
_MOST_WAITING = 10_000


class Group(NamedTuple):
    """Failures that are investigated together."""

    check: str
    provider: str
    phase: Phase
    reason: Reason


@dataclass(slots=True)
class Open:
    """A failure whose cause is undetermined: asked again later, with what was learned before.

    Attributes:
        onset: wall time at which the failure began; another one is another failure.
        turns: how often it was investigated.
        at: monotonic time at which it last was.
        made: the experiments, each with its monotonic time.
    """

    onset: float
    turns: int
    at: float
    made: list[tuple[float, Trial, Experiment]]


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
        self._running: dict[Group, dict[EdgeKey, None]] = {}
        self._crashes: Counter[Group] = Counter()
        self._open: dict[EdgeKey, Open] = {}
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
        self._take_up()
        limit = trio.CapacityLimiter(_AT_ONCE)
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                with trio.move_on_after(_TIDY):
                    await self._wake.wait()
                self._ask_again()
                self._recent.tidy(trio.current_time())
                if not self._wake.is_set():
                    continue
                self._wake = trio.Event()
                await trio.sleep(SETTLE)
                for group in [one for one in self._waiting if one not in self._running]:
                    self._running[group] = {}
                    nursery.start_soon(self._settle, group, limit)

    def _take_up(self) -> None:
        """Go on with what a crash interrupted, unless it is what crashes."""
        for group, keys in self._running.items():
            if self._crashes[group] <= _RESTARTS:
                self._waiting.setdefault(group, {}).update(keys)
                self._wake.set()
        self._running.clear()

    def _ask_again(self) -> None:
        """Ask again for causes that were not determined, after a while."""
        now = trio.current_time()
        undetermined = {
            found.subject: _group(found.subject, found.failure)
            for found, _ in self._store.causes.current()
            if found.cause is Cause.UNDETERMINED
        }
        self._open = {key: one for key, one in self._open.items() if key in undetermined}
        for key, one in self._open.items():
            self._recent.watch(key, now)
            if now - one.at >= _LATER[min(one.turns, len(_LATER)) - 1]:
                self._waiting.setdefault(undetermined[key], {})[key] = None
                self._wake.set()

    async def _settle(self, group: Group, limit: trio.CapacityLimiter) -> None:
        """Investigate one group until all of its failing edges are explained."""
        while waiting := self._waiting.pop(group, None):
            self._running[group] = waiting
            async with limit:
                try:
                    await self._through(group, waiting)
                except Exception:
                    self._crashes[group] += 1
                    raise
        del self._running[group]  # a crash leaves it: the next run takes it up
        del self._crashes[group]

    async def _through(self, group: Group, waiting: dict[EdgeKey, None]) -> None:
        for found, keys in list(self._store.causes.current()):
            if _group(found.subject, found.failure) != group:
                continue
            if self._wall() - found.ended >= _VALID[found.cause is Cause.UNDETERMINED]:
                continue  # what is waiting may tell more, or be something else
            known = explained(found.cause, found.subject, found.failure, self._failing(group))
            for key in [key for key in waiting if key in known]:
                if key not in keys:
                    self._store.causes.join(key, keys[0])  # the subject may pass by now
                del waiting[key]
        while waiting:
            key = next(iter(waiting))
            await self._investigate(group, key, waiting)
            waiting.pop(key, None)

    async def _investigate(self, group: Group, key: EdgeKey, waiting: dict[EdgeKey, None]) -> None:
        """Find out why one edge fails, unless it fails no more; strike out what that explains."""
        history, check = self._histories(group.check).get(key), self._check(group.check)
        failure = None if history is None else history.failure
        if history is None or check is None or failure is None or history.status not in CONFIRMED:
            return
        scene = scene_of(key, failure, check, self._around(), self._rank)
        if scene is None:
            return
        began = self._wall()
        onset = history.since if history.bad_at is None else min(history.since, history.bad_at)
        planner, made = Planner(scene.setting()), list[Experiment]()
        before = self._remembered(key, onset)
        for _, trial, one in before.made:
            planner.recall(trial, one.seen)

        async def make(trial: Trial) -> Experiment:
            done = await self._experiment(scene, trial)
            before.made.append((trio.current_time(), trial, done))
            return done

        settled: Settled | None = None
        earlier = [one for _, _, one in before.made]
        with self._store.causes.investigating(key, failure), trio.move_on_after(LONGEST):
            settled = await investigate(
                planner,
                made,
                make,
                lambda: self._regular(scene, onset),
                patience=_PATIENCE,
                pause=_PAUSE,
            )
        settled = settled or planner.last_word()  # time is up
        failing = self._failing(group)
        if key not in failing:
            return  # it recovered meanwhile: there is nothing to explain
        keys = explained(settled.cause, key, failure, failing)
        for other in (key, *keys):
            waiting.pop(other, None)  # first: a crash from here on must not count it twice
        before.turns, before.at = before.turns + 1, trio.current_time()
        if settled.cause is Cause.UNDETERMINED:
            self._open[key] = before
        found = Investigation(
            settled.cause,
            key,
            failure,
            began,
            self._wall(),
            (*as_regular(scene, self._regular(scene, onset)), *earlier, *made),
            settled.share,
            tuple(sorted({one.target for one in keys})),
            tuple(sorted({one.edge for one in keys})),
            keys,
            settled.left,
            planner.spent,
        )
        self._store.causes.record(found)
        self._tell(found)

    def _remembered(self, key: EdgeKey, onset: float) -> Open:
        """Return what earlier investigations of the same failure have shown, where it counts."""
        now, known = trio.current_time(), self._open.pop(key, None)
        if known is None or known.onset != onset:
            return Open(onset, 0, now, [])
        known.made = [one for one in known.made if one[0] > now - _OUTDATED]
        return known

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
