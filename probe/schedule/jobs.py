"""Values that the runner takes and gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

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
    """What happened in a group since it appeared; never decreases but for the last two.

    Each period of each job is counted exactly once, as a start or one of the four ways not to.

    Attributes:
        started: runs called, extra ones included.
        missed: periods without a run because the agent was late.
        skipped: periods without a run because the key's last run had not ended.
        deferred: periods without a run because the slow keys wait for each other.
        merged: extra runs that found their key running or waiting.
        crashed: runs that raised.
        cut: runs cancelled at their deadline.
        stuck: runs that did not end when cancelled.
        in_flight: runs that hold a place now.
        waiting: runs that wait for one now.
    """

    started: int = 0
    missed: int = 0
    skipped: int = 0
    deferred: int = 0
    merged: int = 0
    crashed: int = 0
    cut: int = 0
    stuck: int = 0
    in_flight: int = 0
    waiting: int = 0
