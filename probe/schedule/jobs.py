"""What the runner takes and gives, and what it remembers: jobs, their runs, counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

import trio

from probe.schedule.lanes import LanePlace, Lanes
from probe.schedule.plan import Due

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Job(Generic[K]):
    """Something to call again and again.

    Attributes:
        key: names it over reloads; its runs keep their phase while the interval stays.
        group: the check; concurrency is bounded per group.
        interval: seconds between starts.
        timeout: seconds after which a run is cancelled, whatever it does. Longer than the
            prober's own time-out, which gives a result; this one gives a defect.
        call: one run. It files its own result and raises nothing.
        kin: keys of the same kin are slow together, for example edges at the same address.
    """

    key: K
    group: str
    interval: float
    timeout: float
    call: Callable[[], Awaitable[None]]
    kin: Hashable = None


class Start(NamedTuple, Generic[K]):
    """One start.

    Attributes:
        lateness: seconds between being due and being called.
        extra: asked for, not of the grid.
        slow: started in the slow lane, where waiting is intended: its lateness says nothing
            about the agent.
    """

    job: Job[K]
    lateness: float
    extra: bool
    slow: bool


class DefectKind(StrEnum):
    """What our own code did wrong."""

    CRASHED = "crashed"  # the call raised
    CUT = "cut"  # it was still running at its deadline, and cancelled
    STUCK = "stuck"  # it does not even end when cancelled


@dataclass(frozen=True, slots=True)
class Defect(Generic[K]):
    """A run that went wrong through our own fault.

    Attributes:
        error: what was raised, as a group even when it is one; None for the other kinds.
    """

    job: Job[K]
    kind: DefectKind
    error: ExceptionGroup[Exception] | None


@dataclass(slots=True)
class Counts:
    """What happened in a group since it first appeared; never decreases but for the last two.

    Each period of each job is counted exactly once, as a start or one of the four ways not to.

    Attributes:
        started: runs called, extra ones included.
        missed: periods without a run because the agent was late.
        skipped: periods without a run because the key's last run had not ended.
        deferred: periods without a run because the slow keys wait for each other.
        merged: extra runs that found their key running or waiting.
        in_flight: runs that hold a place now.
        waiting: runs that wait for one now.
    """

    started: int = 0
    missed: int = 0
    skipped: int = 0
    deferred: int = 0
    merged: int = 0
    in_flight: int = 0
    waiting: int = 0


@dataclass(slots=True, eq=False)
class RunGroup(Generic[K]):
    """The lanes of one check, kept while it has jobs or runs, and its counts."""

    lanes: Lanes[JobRun[K]]
    counts: Counts
    jobs: int = 0


@dataclass(slots=True, eq=False)
class KeyRuns(Generic[K]):
    """A key's job and its runs that are under way. ``slow`` is whether its last run was slow."""

    job: Job[K]
    group: RunGroup[K]
    runs: list[JobRun[K]] = field(default_factory=list)
    slow: bool = False

    def count_lost(self, due: Due[K]) -> None:
        """Count a run that cannot start because the key's last one has not ended."""
        counts = self.group.counts
        if due.extra:
            counts.merged += 1
        elif any(run.scope is not None for run in self.runs):
            counts.skipped += 1
        elif any(run.place.slow for run in self.runs):
            counts.deferred += 1
        else:
            counts.missed += 1


class JobRun(Generic[K]):
    """One run from being due to its end. ``scope`` is None while it waits for a place."""

    __slots__ = ("deadline", "due", "entry", "group", "job", "place", "scope", "stuck")

    def __init__(self, entry: KeyRuns[K], due: Due[K]) -> None:
        self.entry = entry
        self.job = entry.job
        self.group = entry.group  # a reload may move the job; the place belongs to this one
        self.due = due
        self.place = LanePlace(self, slow=entry.slow, extra=due.extra, kin=entry.job.kin)
        self.scope: trio.CancelScope | None = None
        self.deadline = 0.0
        self.stuck = False
