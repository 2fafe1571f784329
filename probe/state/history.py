"""What is kept of the past: the histories that confirmation advances, shares of latest seconds.

Pure; times are arguments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

from probe.model.failure import Failure
from probe.model.result import Outcome
from probe.model.state import EdgeStatus, Transition
from probe.model.target import EdgeKey, FlowKey

K = TypeVar("K", bound=EdgeKey | FlowKey)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[K]):
    """What confirmation needs of one result.

    Attributes:
        at: wall time of its start, seconds since the epoch.
        seconds: how long it took.
        command: paste-ready reproduction, carried into the transition.
    """

    key: K
    outcome: Outcome
    at: float
    seconds: float = 0.0
    command: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one kind of failure occurred in a bad streak, and its latest evidence."""

    failure: Failure
    count: int


class History(NamedTuple):
    """What is remembered of an edge. Times named ``*_at`` are wall time, others monotonic.

    Attributes:
        since: wall time of the first attempt that belongs to the status.
        passed: attempts that passed, ever; likewise ``failed`` and ``inconclusive``.
        bad: failures of the bad streak that are remembered; likewise ``good`` its passes. No
            streak, no counts. The score and the rate of failures are read off them.
        passes: passes in a row, up to now; likewise ``failures``.
        row_at: first attempt of that row.
        bad_at: first failure since the edge was last beyond suspicion; None when it is.
        last_failure: when the last failure was judged.
        changed: when the status last changed.
        quick_until: until when further attempts asked for are still to start.
        tallies: kinds of failure of the bad streak, the latest last.
    """

    status: EdgeStatus = EdgeStatus.UNKNOWN
    since: float = 0.0
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    bad: int = 0
    good: int = 0
    passes: int = 0
    failures: int = 0
    row_at: float = 0.0
    bad_at: float | None = None
    last_failure: float = 0.0
    changed: float = 0.0
    quick_until: float = 0.0
    tallies: tuple[Tally, ...] = ()

    @property
    def failure(self) -> Failure | None:
        """The commonest failure of the bad streak; of equally common ones the latest."""
        best: Tally | None = None
        for tally in self.tallies:
            if best is None or tally.count >= best.count:
                best = tally
        return best.failure if best else None


class Urgency(IntEnum):
    """How much a further attempt matters when the budget is short."""

    WATCH = 0  # most likely a single lost handshake
    NAMED = 1  # flapping and passing: is it over?
    SUSPECT = 2  # failed more than once
    CLEAR = 3  # flapping, and all others pass as well
    CONFIRM = 4  # decides between a lost handshake and a failing edge


class Neighbours(IntEnum):
    """Which other edges of the same provider and target are worth an attempt now."""

    NONE = 0
    ONE = 1  # is it this edge alone?
    ALL = 2  # what fails here may fail there


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an attempt.

    Attributes:
        transition: a change of status, if any.
        again: seconds from now of further attempts on the same edge.
        beside: they may overlap each other and a hanging attempt.
    """

    transition: Transition | None = None
    again: tuple[float, ...] = ()
    beside: bool = False
    urgency: Urgency = Urgency.WATCH
    neighbours: Neighbours = Neighbours.NONE


_PARTS = 10


class SlidingShare:
    """How much of the weight of the latest ``span`` seconds was marked.

    Summed in ten parts, so that hundreds of values a second cost a few numbers; a value is
    forgotten up to a tenth of the span early.

    Args:
        span: seconds that count.
    """

    __slots__ = ("_part", "_parts")

    def __init__(self, span: float) -> None:
        self._part = span / _PARTS
        self._parts: deque[list[float]] = deque()  # [number of the part, marked, all]

    def add(self, marked: bool, now: float, weight: float = 1.0) -> None:
        """Add one value."""
        number = int(now // self._part)
        if not self._parts or self._parts[-1][0] < number:
            self._parts.append([number, 0.0, 0.0])
            self._forget(number)
        latest = self._parts[-1]
        latest[1] += marked * weight
        latest[2] += weight

    def sums(self, now: float) -> tuple[float, float]:
        """Sum the weight of the marked values, and of all."""
        self._forget(int(now // self._part))
        return sum(part[1] for part in self._parts), sum(part[2] for part in self._parts)

    def _forget(self, number: int) -> None:
        while self._parts and self._parts[0][0] <= number - _PARTS:
            self._parts.popleft()
