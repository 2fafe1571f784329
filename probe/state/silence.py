"""Which keys nobody has judged for too long. Pure: every time is an argument.

A belief outlives what it was built on unless somebody counts the time: a run that gives no
result, a key that is stuck or a loop that died would leave "passing" standing for ever. So each
key that is to be looked at is expected here, and each judged result (passed or failed; one that
is inconclusive says nothing) puts its time limit off.

Nothing here depends on results arriving. A heap holds one time per key at which to look again;
a result does not touch the heap, so that it costs one lookup, and a key that was judged in time
is put back once in every limit. Asking for what is due costs nothing while nothing is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

INTERVALS = 3
"""Intervals without a judged result after which a key is unseen …"""

LEAST = 60.0
"""… and at least so many seconds: single runs of fast checks are lost now and then."""

_SPARE = 64


def limit(interval: float) -> float:
    """Compute the seconds without a judged result after which a key is unseen."""
    return max(INTERVALS * interval, LEAST)


class Unseen(NamedTuple):
    """Nobody has judged a key for too long.

    Attributes:
        since: wall time of its last judged attempt; of its first expectation without any.
        ever: whether it was ever judged.
    """

    since: float
    ever: bool


class _Watch:
    __slots__ = ("at", "due", "ever", "limit", "seen")

    def __init__(self, span: float, now: float, at: float) -> None:
        self.limit = span
        self.seen = now  # monotonic
        self.at = at  # wall
        self.ever = False
        self.due = now + span  # of its only valid heap item; infinite when unseen


class Silence(Generic[K]):
    """The time limits of all keys.

    Attributes:
        unseen: keys beyond their limit.
        awaited: keys within it that were never judged.
    """

    def __init__(self) -> None:
        self.unseen: dict[K, Unseen] = {}
        self.awaited: set[K] = set()
        self._watches: dict[K, _Watch] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._watches)

    def __contains__(self, key: K) -> bool:
        return key in self._watches

    def expect(self, key: K, interval: float, now: float, at: float) -> None:
        """Expect a judged result of a key every ``interval`` seconds, new or changed.

        Args:
            key: what is looked at.
            interval: seconds between its regular runs.
            now: monotonic seconds.
            at: wall time.
        """
        watch = self._watches.get(key)
        span = limit(interval)
        if watch is None:
            watch = self._watches[key] = _Watch(span, now, at)
            self.awaited.add(key)
        elif watch.limit == span:
            return
        else:
            watch.limit = span
            if key in self.unseen:
                return  # until it is judged
            watch.due = watch.seen + span
        self._push(watch, key)

    def forget(self, key: K) -> None:
        """Stop expecting a key; an unknown one is no error."""
        if self._watches.pop(key, None) is None:
            return
        self.unseen.pop(key, None)
        self.awaited.discard(key)
        if len(self._heap) > _SPARE + 4 * len(self._watches):
            self._heap = [item for item in self._heap if self._valid(item)]
            heapify(self._heap)

    def judged(self, key: K, now: float, at: float) -> bool:
        """Take note of a result that passed or failed.

        Args:
            key: an unknown one is no error.
            now: monotonic seconds at its end.
            at: wall time of its start.

        Returns:
            whether the key had been awaited or unseen.
        """
        watch = self._watches.get(key)
        if watch is None:
            return False
        watch.seen, watch.at = now, at
        if watch.ever and watch.due != float("inf"):
            return False
        watch.ever = True
        self.awaited.discard(key)
        if self.unseen.pop(key, None) is not None:
            watch.due = now + watch.limit
            self._push(watch, key)
        return True

    def due(self, now: float) -> Iterator[K | None]:
        """Find keys that become unseen, in short steps; None is a step that found none.

        The caller may pause between steps, stop, and ask anew: each key is given once.
        """
        while self._heap and self._heap[0][0] <= now:
            item = heappop(self._heap)
            key = item[2]
            if not self._valid(item):
                continue
            watch = self._watches[key]
            watch.due = watch.seen + watch.limit
            if watch.due > now:
                self._push(watch, key)
                yield None
                continue
            watch.due = float("inf")
            self.awaited.discard(key)
            self.unseen[key] = Unseen(watch.at, watch.ever)
            yield key

    def _push(self, watch: _Watch, key: K) -> None:
        self._sequence += 1
        heappush(self._heap, (watch.due, self._sequence, key))

    def _valid(self, item: tuple[float, int, K]) -> bool:
        watch = self._watches.get(item[2])
        return watch is not None and watch.due == item[0]
