"""Who may start now: concurrency of one check, in two lanes. Pure; times are arguments.

One bound for all runs of a check would let the slow starve the quick: 2,000 edges that each
hang for a time-out of 10 s need 1,300 places, and the healthy ones would queue behind them.
So there are two lanes with ``limit`` places each:

- *quick*: keys whose last run was not slow. A run that turns out to be slow (it has been in
  flight for ``slow_after`` seconds) leaves the lane while it runs on, so that hanging runs
  hold a quick place for a moment only, even in the first wave of an outage.
- *slow*: keys whose last run was slow. They wait for each other, never for a place that a
  quick key needs, and return to the quick lane with their first quick run.

Runs that changed lane may fill the slow lane to twice its limit; beyond that they keep their
quick places. So at most ``3 * limit`` runs are in flight, whatever the world does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Place(Generic[T]):
    """A run's place: waiting, then in flight in one lane, then given back."""

    __slots__ = ("item", "slow", "started", "state")

    def __init__(self, item: T, *, slow: bool) -> None:
        self.item = item
        self.slow = slow
        self.started = 0.0
        self.state = "waiting"


class Lanes(Generic[T]):
    """The two lanes of one check.

    Args:
        limit: places in each lane.
        slow_after: seconds in flight from which a run is slow.
    """

    def __init__(self, limit: int, slow_after: float) -> None:
        self.limit = limit
        self.slow_after = slow_after
        self._quick = 0
        self._slow = 0
        self._young: deque[Place[T]] = deque()  # quick runs by start, oldest first
        self._lines: tuple[deque[Place[T]], deque[Place[T]]] = (deque(), deque())
        self._waiting = [0, 0]  # those in line who have not gone

    @property
    def in_flight(self) -> int:
        """Runs that hold a place."""
        return self._quick + self._slow

    @property
    def waiting(self) -> int:
        """Runs that wait for one."""
        return self._waiting[False] + self._waiting[True]

    def offer(self, place: Place[T], now: float) -> bool:
        """Take the place now if there is one (true), else wait in line."""
        self._age(now)
        if not self._waiting[place.slow] and self._free(place.slow):
            self._take(place, now)
            return True
        self._lines[place.slow].append(place)
        self._waiting[place.slow] += 1
        return False

    def give_back(self, place: Place[T]) -> None:
        """End of a run, or of waiting."""
        if place.state == "waiting":
            self._waiting[place.slow] -= 1  # it stays in line as gone: finding it costs O(n)
        elif place.state == "quick":
            self._quick -= 1
        elif place.state == "slow":
            self._slow -= 1
        place.state = "gone"

    def admit(self, now: float) -> Iterator[Place[T]]:
        """Those who waited and may start now, in line; each has taken its place."""
        self._age(now)
        for slow in (False, True):
            line = self._lines[slow]
            while line and self._free(slow):
                place = line.popleft()
                if place.state == "gone":
                    continue
                self._waiting[slow] -= 1
                self._take(place, now)
                yield place

    def next_change(self) -> float | None:
        """When a quick place comes free because its run turns slow, if anybody waits for it."""
        if not self._waiting[False] or self._slow >= 2 * self.limit:
            return None
        for place in self._young:
            if place.state == "quick":
                return place.started + self.slow_after
        return None

    def _free(self, slow: bool) -> bool:
        return (self._slow if slow else self._quick) < self.limit

    def _take(self, place: Place[T], now: float) -> None:
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
                if oldest.started + self.slow_after > now or self._slow >= 2 * self.limit:
                    return
                oldest.state = "slow"
                self._quick -= 1
                self._slow += 1
            young.popleft()
