"""What the runner takes and gives, and what it remembers: jobs, their runs, counts, lanes.

Lanes say who may start now: the concurrency of one check. Pure; times are arguments. One bound for
all runs of a check would let the slow starve the quick: 2,000 edges that each hang for a time-out
of 10 s need 1,300 places, and the healthy ones would queue behind them. So there are two lanes:

- *quick*, ``limit`` places: runs expected to be quick. A run that turns out to be slow (it
  has been in flight for ``slow_after`` seconds) leaves the lane while it runs on, so that
  hanging runs hold a quick place for a moment only, even in the first wave of an outage.
- *slow*, twice as many places: keys whose last run was slow, and keys whose *kin* have been
  slow recently (edges at the same address: hanging is a property of addresses more than of
  domains). They wait for each other, never for a place that a quick key needs, and return to
  the quick lane with the first quick run. Those who were asked for and those of the grid take
  turns, so that neither a confirmation waits behind thousands of hanging runs, nor they
  behind it.

When the slow lane is full, runs that turn slow keep their quick places. So at most
``3 * limit`` runs are in flight, whatever the world does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

import trio

from probe.schedule.plan import Due

T = TypeVar("T")

_SLOW_KIN = 4
"""Slow runs from which kin are expected to be slow; each quick run makes up for as many, so
that an address where one run in five is quick keeps its keys in the quick lane."""

_MOST_KIN = 2 * _SLOW_KIN

_QUICK, _SLOW, _SLOW_EXTRA = range(3)


@dataclass(slots=True, eq=False)
class LanePlace(Generic[T]):
    """A run's place: waiting in a line, then in flight in one lane, then given back."""

    item: T
    _: KW_ONLY
    slow: bool = False
    extra: bool = False
    kin: Hashable = None
    line: int = _QUICK
    started: float = 0.0
    state: str = "waiting"
    told: bool = False  # whether the kin know of it


class Lanes(Generic[T]):
    """The two lanes of one check.

    Args:
        limit: places in the quick lane; the slow one has twice as many.
        slow_after: seconds in flight from which a run is slow.
    """

    def __init__(self, limit: int, slow_after: float) -> None:
        self.limit = limit
        self.slow_after = slow_after
        self._quick = 0
        self._slow = 0
        self._young: deque[LanePlace[T]] = deque()  # quick runs by start, oldest first
        self._lines: tuple[deque[LanePlace[T]], ...] = (deque(), deque(), deque())
        self._waiting = [0, 0, 0]  # those in line who have not gone
        self._next_slow = _SLOW_EXTRA
        self._kin: dict[Hashable, int] = {}

    @property
    def in_flight(self) -> int:
        """Count the runs that hold a place."""
        return self._quick + self._slow

    @property
    def waiting(self) -> int:
        """Count the runs that wait for a place."""
        return sum(self._waiting)

    def offer(self, place: LanePlace[T], now: float) -> bool:
        """Take a place if one is free, else wait in line. Returns whether it was taken."""
        self._age(now)
        place.slow = place.slow or self._kin.get(place.kin, 0) >= _SLOW_KIN
        if place.slow:
            place.line = _SLOW_EXTRA if place.extra else _SLOW
        if not self._waiting[place.line] and self._free(place.slow):
            self._take(place, now)
            return True
        self._lines[place.line].append(place)
        self._waiting[place.line] += 1
        return False

    def give_back(self, place: LanePlace[T], now: float) -> None:
        """End a run, or its waiting."""
        if place.state == "waiting":
            self._waiting[place.line] -= 1  # it stays in line, marked: taking it out costs O(n)
        elif place.state == "quick":
            self._quick -= 1
            self._tell(place, slow=now - place.started >= self.slow_after)
        elif place.state == "slow":
            self._slow -= 1
            self._tell(place, slow=now - place.started >= self.slow_after)
        place.state = "gone"

    def admit(self, now: float) -> Iterator[LanePlace[T]]:
        """Yield the runs that waited and may start now, in line; each has taken its place."""
        self._age(now)
        while self._waiting[_QUICK] and self._free(False):
            yield self._first(_QUICK, now)
        while (self._waiting[_SLOW] or self._waiting[_SLOW_EXTRA]) and self._free(True):
            line = self._next_slow
            if not self._waiting[line]:
                line = _SLOW + _SLOW_EXTRA - line
            self._next_slow = _SLOW + _SLOW_EXTRA - line
            yield self._first(line, now)

    def next_change(self) -> float | None:
        """Return when a run turns slow and frees its quick place; None if no run waits for it."""
        if not self._waiting[_QUICK] or not self._free(True):
            return None
        for place in self._young:
            if place.state == "quick":
                return place.started + self.slow_after
        return None

    def _free(self, slow: bool) -> bool:
        return self._slow < 2 * self.limit if slow else self._quick < self.limit

    def _first(self, number: int, now: float) -> LanePlace[T]:
        line = self._lines[number]
        place = line.popleft()
        while place.state == "gone":
            place = line.popleft()
        self._waiting[number] -= 1
        self._take(place, now)
        return place

    def _take(self, place: LanePlace[T], now: float) -> None:
        place.started = now
        if place.slow:
            place.state = "slow"
            self._slow += 1
        else:
            place.state = "quick"
            self._quick += 1
            self._young.append(place)

    def _age(self, now: float) -> None:
        """Move quick runs that turned slow to the slow lane; forget those that ended."""
        young = self._young
        while young:
            oldest = young[0]
            if oldest.state == "quick":
                if oldest.started + self.slow_after > now or not self._free(True):
                    return
                oldest.state = "slow"
                self._quick -= 1
                self._slow += 1
                self._tell(oldest, slow=True)
            young.popleft()

    def _tell(self, place: LanePlace[T], *, slow: bool) -> None:
        """Let the kin know how a run went, once, and as soon as it is known."""
        if place.kin is None or place.told:
            return
        place.told = True
        score = self._kin.get(place.kin, 0) + (1 if slow else -_SLOW_KIN)
        if score > 0:
            self._kin[place.kin] = min(score, _MOST_KIN)
        else:
            self._kin.pop(place.kin, None)


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
