"""Sleeps until the plan says that something is due, and calls it.

What it promises:

- A check has its own lanes (``schedule.lanes``): neither a slow check nor the slow keys of
  the same check delay anything else.
- A key's runs never overlap, except confirmation runs that were asked for as ``beside``.
- Each run is cancelled at its deadline. A call that even then does not end (it shields
  itself) is reported, and its place is given to others; only its key stays blocked.
- An exception from a call is a defect of ours: caught here, in one place, and reported.
- Times of the plan are seconds since the epoch, read once; afterwards only trio's clock
  counts, so that a step of the wall clock moves nothing.
- Runs due within the same ``slack`` start together, at its end. Waking a process that sleeps
  costs it more than starting a run, so this saves a tenth of the CPU of a whole probe, for
  starts that are late by half the slack on average.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from math import ceil
from typing import Generic, TypeVar

import trio

from probe.schedule.jobs import (
    Counts,
    Defect,
    DefectKind,
    Job,
    JobRun,
    KeyRuns,
    Lanes,
    RunGroup,
    Start,
)
from probe.schedule.plan import FIRST, Due, Plan

K = TypeVar("K", bound=Hashable)

_TURN = 32
"""Most runs started between two turns of the event loop: a backlog must not make it lag."""

_ASKED = 500
"""Most extra runs asked for in one step: some three milliseconds."""

_WATCH = 1.0
"""Seconds between looks for runs that outlive their deadline, and the grace they get."""


_IDLE = 60.0
"""Longest sleep, in seconds, when nothing is planned; new jobs end it."""


class Runner(Generic[K]):
    """Runs jobs at their times until it is cancelled.

    Args:
        wall: seconds since the epoch; read once, to align the plan with absolute time.
        limit: places in the quick lane of a check; the slow one has twice as many.
        slow_after: seconds from which a run is slow.
        salt: differs between agents (the region), so that they probe at different moments.
        slack: seconds that a start may be late so that others start with it.
        first: seconds within which a new key has its first run.
        on_start: told of each start, with its lateness.
        on_defect: told of each run that crashed, was cut off or is stuck.

    All methods but the constructor need a running trio loop.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        limit: int = 500,
        slow_after: float = 1.0,
        salt: str = "",
        slack: float = 0.0,
        first: float = FIRST,
        on_start: Callable[[Start[K]], None] = lambda _: None,
        on_defect: Callable[[Defect[K]], None] = lambda _: None,
    ) -> None:
        self._wall = wall
        self._limit = limit
        self._slow_after = slow_after
        self._slack = slack
        self._on_start = on_start
        self._on_defect = on_defect
        self._plan: Plan[K] = Plan(salt=salt, first=first)
        self._entries: dict[K, KeyRuns[K]] = {}
        self._groups: dict[str, RunGroup[K]] = {}
        self._counts: dict[str, Counts] = {}  # kept for good: a counter that starts again would lie
        self._running: dict[JobRun[K], None] = {}
        self._offset: float | None = None
        self._nursery: trio.Nursery | None = None
        self._poke = trio.Event()
        self._sleeping_until = -1.0
        self._next_watch = 0.0

    # ------------------------------------------------------------ jobs

    def put(self, job: Job[K]) -> None:
        """Add a job, or replace the one of the same key from its next run on."""
        now = self.now()
        self._plan.put(job.key, job.interval, now)
        entry = self._entries.get(job.key)
        if entry is None:
            group = self._group(job.group)
            self._entries[job.key] = KeyRuns(job, group)
            group.jobs += 1
        else:
            if entry.job.group != job.group:
                self._leave(entry.group, entry.job.group)
                entry.group = self._group(job.group)
                entry.group.jobs += 1
            entry.job = job
        self._wake()

    def drop(self, key: K) -> None:
        """Remove a job; a run in flight is cancelled.

        Raises:
            KeyError: there is no such job.
        """
        entry = self._entries.pop(key)
        self._plan.remove(key)
        for run in list(entry.runs):
            if run.scope is None:
                self._end(run)
            else:
                run.scope.cancel()
        self._leave(entry.group, entry.job.group)

    def request(self, key: K, *, after: float = 0.0, beside: bool = False) -> bool:
        """Ask for one extra run in ``after`` seconds.

        A plain extra run is dropped when the key is running at that time: the run under way
        tells as much. With ``beside`` it starts all the same (quick confirmation of an edge
        that hangs, where waiting for each time-out would take a minute).

        Returns:
            Whether it was planned: false for an unknown key, or when the plan holds enough
            extra runs of this key.
        """
        planned = self._plan.request(key, self.now() + after, beside=beside)
        if planned:
            self._wake()
        return planned

    def request_all(self, keys: Sequence[K], *, within: float, rate: float) -> Iterator[None]:
        """Ask for one extra run of each: ``rate`` a second, or all ``within`` so many seconds.

        In short steps. Keys that are gone meanwhile are left out.
        """
        spread = min(within, len(keys) / rate)
        for place, key in enumerate(keys):
            self.request(key, after=spread * place / len(keys))
            if place % _ASKED == _ASKED - 1:
                yield

    def counts(self) -> dict[str, Counts]:
        """Return what happened per group since it first appeared, and what is under way."""
        for name, counts in self._counts.items():
            group = self._groups.get(name)
            counts.in_flight = group.lanes.in_flight if group else 0
            counts.waiting = group.lanes.waiting if group else 0
        return self._counts

    def now(self) -> float:
        """Return the plan's time: seconds since the epoch by trio's clock."""
        if self._offset is None:
            self._offset = self._wall() - trio.current_time()
        return trio.current_time() + self._offset

    # ------------------------------------------------------------ running

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run jobs until cancelled; jobs may be changed meanwhile."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            while True:
                now = self.now()
                for due in self._plan.pop(now, _TURN):
                    self._offer(due, now)
                wake = self._turn(now)
                if wake > now:  # else a backlog is left, which must not wait
                    wake = self._rounded(wake)
                self._poke = trio.Event()
                self._sleeping_until = wake
                with trio.move_on_at(wake - (self._offset or 0.0)):
                    await self._poke.wait()
                self._sleeping_until = -1.0

    def _turn(self, now: float) -> float:
        """Look after waiting and stuck runs. Returns when to wake next."""
        if self._running and self._next_watch <= now:
            self._next_watch = now + _WATCH
            self._watch(now)
        due = self._plan.next_due()
        wake = now + _IDLE if due is None else due
        for group in self._groups.values():
            if group.lanes.waiting:
                self._admit(group, now)
                change = group.lanes.next_change()
                if change is not None and change < wake:
                    wake = change
        return min(wake, self._next_watch) if self._running else wake

    def _rounded(self, due: float) -> float:
        """Round a due time up to the end of its slack window."""
        return ceil(due / self._slack) * self._slack if self._slack else due

    def _wake(self) -> None:
        """Let the sleeper look again if something is due before it would wake."""
        due = self._plan.next_due()
        if due is not None and self._rounded(due) < self._sleeping_until:
            self._sleeping_until = -1.0
            self._poke.set()

    def _offer(self, due: Due[K], now: float) -> None:
        entry = self._entries[due.key]
        counts = entry.group.counts
        counts.missed += due.missed
        if entry.runs and not due.beside:
            entry.count_lost(due)
            return
        run = JobRun(entry, due)
        entry.runs.append(run)
        if entry.group.lanes.offer(run.place, now):
            self._launch(run)

    def _admit(self, group: RunGroup[K], now: float) -> None:
        for place in group.lanes.admit(now):
            self._launch(place.item)

    def _launch(self, run: JobRun[K]) -> None:
        assert self._nursery is not None  # noqa: S101 - runs are offered by run() alone
        run.job = run.entry.job
        run.scope = trio.CancelScope(deadline=trio.current_time() + run.job.timeout)
        run.deadline = self.now() + run.job.timeout
        self._running[run] = None
        self._nursery.start_soon(self._execute, run, run.scope)

    async def _execute(self, run: JobRun[K], scope: trio.CancelScope) -> None:
        if scope.cancel_called:  # dropped before it began
            self._end(run)
            return
        job, counts = run.job, run.group.counts
        began = trio.current_time()
        counts.started += 1
        late = began + (self._offset or 0.0) - run.due.at
        try:
            self._on_start(Start(job, late, run.due.extra, run.place.slow))
            with scope:
                await job.call()
        except* Exception as crash:
            self._on_defect(Defect(job, DefectKind.CRASHED, crash))
        # Not reached when the whole runner is cancelled: then no other run may start in its place.
        run.entry.slow = trio.current_time() - began >= self._slow_after
        if scope.cancelled_caught and self._entries.get(job.key) is run.entry:
            self._on_defect(Defect(run.job, DefectKind.CUT, None))
        self._end(run)

    def _end(self, run: JobRun[K]) -> None:
        """Give back what a run holds, to those who wait."""
        self._running.pop(run, None)
        run.entry.runs.remove(run)
        run.group.lanes.give_back(run.place, self.now())
        del run.place  # it knows its run: each would be left to the garbage collector
        if run.group.lanes.waiting:
            self._admit(run.group, self.now())

    def _watch(self, now: float) -> None:
        """Report runs that outlive their deadline, and give their places to others."""
        for run in self._running:
            if not run.stuck and run.deadline + _WATCH < now:
                run.stuck = True
                run.group.lanes.give_back(run.place, now)
                self._on_defect(Defect(run.job, DefectKind.STUCK, None))

    # ------------------------------------------------------------ groups

    def _group(self, name: str) -> RunGroup[K]:
        group = self._groups.get(name)
        if group is None:
            counts = self._counts.setdefault(name, Counts())
            lanes: Lanes[JobRun[K]] = Lanes(self._limit, self._slow_after)
            group = self._groups[name] = RunGroup(lanes, counts)
        return group

    def _leave(self, group: RunGroup[K], name: str) -> None:
        group.jobs -= 1
        if not group.jobs:
            del self._groups[name]
