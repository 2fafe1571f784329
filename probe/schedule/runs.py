"""What the runner remembers: checks, keys, and runs from being due to their end."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import trio

from probe.schedule.jobs import Counts, Job
from probe.schedule.lanes import Lanes, Place
from probe.schedule.plan import Due

K = TypeVar("K", bound=Hashable)


class Group(Generic[K]):
    """The lanes and counts of one check, kept while it has jobs or runs."""

    __slots__ = ("counts", "jobs", "lanes")

    def __init__(self, lanes: Lanes[Run[K]]) -> None:
        self.lanes = lanes
        self.counts = Counts()
        self.jobs = 0


class Entry(Generic[K]):
    """A key's job and what is under way for it. ``slow`` speaks of its last run."""

    __slots__ = ("group", "job", "runs", "slow")

    def __init__(self, job: Job[K], group: Group[K]) -> None:
        self.job = job
        self.group = group
        self.runs: list[Run[K]] = []
        self.slow = False

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


class Run(Generic[K]):
    """One run from being due to its end. ``scope`` is None while it waits for a place."""

    __slots__ = ("deadline", "due", "entry", "group", "job", "place", "scope", "stuck")

    def __init__(self, entry: Entry[K], due: Due[K]) -> None:
        self.entry = entry
        self.job = entry.job
        self.group = entry.group  # a reload may move the job; the place belongs to this one
        self.due = due
        self.place: Place[Run[K]] = Place(self, slow=entry.slow, extra=due.extra, kin=entry.job.kin)
        self.scope: trio.CancelScope | None = None
        self.deadline = 0.0
        self.stuck = False
