"""What runs when. Pure: holds no clock and does no I/O; every time arrives as an argument.

The rules:

- Times are seconds since the epoch, on a timeline that never steps (the caller's concern).
- A key's runs lie on a fixed grid: ``n * interval + phase``. The phase is a stable hash of
  the key, scaled to the interval. So the runs of many keys spread evenly over the interval,
  and a key keeps its place over reloads and restarts instead of bunching after each of them.
- A new key whose interval is long does not wait for its grid: it gets one extra run within
  ``first`` seconds, at the same share of them. A process that starts has looked at everything
  within a minute, and no faster than evenly.
- The salt enters the hash: agents that probe the same keys do so at different moments.
- A key that is popped late runs once. Periods that passed meanwhile are missed and counted,
  never caught up.
- Extra runs are one-off due times beside the grid and never move it. A key has at most one
  plain extra run pending, the earliest asked for; runs that may go *beside* another of the
  same key are each kept, up to ``MOST_BESIDE``.

Every operation costs O(log n) for n keys.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from hashlib import blake2b
from heapq import heappop, heappush
from math import floor
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST = 50.0
"""Seconds within which a new key has its first run: a minute, less the time to find its edge."""

MOST_BESIDE = 8
"""Extra runs of one key that may be pending beside each other; more are refused."""

_SPARE = 64  # stale heap items tolerated before they are left out, so that small plans never bother
_MOVED = 16  # items that one operation looks at then: a rebuild at once would hold up the loop


class Due(NamedTuple, Generic[K]):
    """One run that is due.

    Attributes:
        at: when it was due; the oldest period that this run stands for.
        missed: later periods that passed as well and will not run.
        extra: asked for, not of the grid.
        beside: may run while another run of the same key is in flight.
    """

    key: K
    at: float
    missed: int = 0
    extra: bool = False
    beside: bool = False


class _Entry(Generic[K]):
    """A key's place in the plan. ``grid`` and ``extra`` number its only valid heap items."""

    __slots__ = (
        "alive",
        "beside",
        "due",
        "extra",
        "extra_due",
        "fraction",
        "grid",
        "interval",
        "key",
        "phase",
        "turn",
    )

    def __init__(self, key: K, fraction: float, interval: float, now: float) -> None:
        self.key = key
        self.fraction = fraction
        self.alive = True
        self.grid = 0
        self.extra: int | None = None
        self.extra_due = 0.0
        self.beside = 0
        self.place(interval, now)

    def place(self, interval: float, now: float) -> None:
        """Set the grid; the next run is its first point after ``now``."""
        self.interval = interval
        self.phase = self.fraction * interval
        self.turn = self.turn_after(now)
        self.due = self.turn * interval + self.phase

    def turn_after(self, now: float) -> int:
        """Return the number of the first grid point after ``now``, exact in spite of rounding."""
        turn = floor((now - self.phase) / self.interval)
        while turn * self.interval + self.phase <= now:
            turn += 1
        return turn

    def advance(self, now: float) -> int:
        """Go to the next grid point after ``now``. Returns how many points were passed over."""
        following = self.turn + 1
        self.turn = following
        self.due = following * self.interval + self.phase
        if self.due <= now:
            self.turn = self.turn_after(now)
            self.due = self.turn * self.interval + self.phase
        return self.turn - following


_GRID, _EXTRA, _BESIDE = range(3)
_Item = tuple[float, int, int, _Entry[K]]


class Plan(Generic[K]):
    """Keys with their intervals, and which of them are due.

    Args:
        salt: differs between agents that share keys, for example the region's name.
        identity: text that stands for a key in the hash; must be the same in every
            process. The ``repr`` of texts and of named tuples of texts is.
        first: seconds within which a new key has its first run.
    """

    def __init__(
        self, *, salt: str = "", identity: Callable[[K], str] = repr, first: float = FIRST
    ) -> None:
        self._first = first
        self._salt = salt.encode()
        self._identity = identity
        self._entries: dict[K, _Entry[K]] = {}
        self._heap: list[_Item[K]] = []
        self._old: list[_Item[K]] = []  # of which what is valid goes to the other heap, bit by bit
        self._sequence = 0

    def fraction(self, key: K) -> float:
        """Return the key's place in its interval, in [0, 1)."""
        seed = self._salt + b"\0" + self._identity(key).encode()
        return int.from_bytes(blake2b(seed, digest_size=6).digest()) / 2**48

    def put(self, key: K, interval: float, now: float) -> None:
        """Add a key, or change its interval; pending extra runs stay.

        Raises:
            ValueError: the interval is not positive.
        """
        if not interval > 0:
            raise ValueError(f"interval of {key!r} must be positive, not {interval!r}")
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(key, self.fraction(key), interval, now)
            if entry.due > now + self._first:
                self.request(key, now + entry.fraction * self._first)
        elif entry.interval == interval:
            return
        else:
            entry.place(interval, now)
        entry.grid = self._push(entry.due, _GRID, entry)
        self._tidy()

    def remove(self, key: K) -> None:
        """Forget a key and its extra runs.

        Raises:
            KeyError: there is no such key.
        """
        self._entries.pop(key).alive = False
        self._tidy()

    def request(self, key: K, at: float, *, beside: bool = False) -> bool:
        """Ask for one extra run at ``at``.

        Returns:
            Whether the plan changed: false for an unknown key, when an earlier extra run is
            pending already, or when too many runs beside are.
        """
        entry = self._entries.get(key)
        if entry is None:
            return False
        if beside:
            if entry.beside >= MOST_BESIDE:
                return False
            entry.beside += 1
            self._push(at, _BESIDE, entry)
            return True
        if entry.extra is not None and entry.extra_due <= at:
            return False
        entry.extra, entry.extra_due = self._push(at, _EXTRA, entry), at
        self._tidy()
        return True

    def next_due(self) -> float | None:
        """Return when the next run is due; None for an empty plan."""
        while heap := self._first_heap():
            at, number, kind, entry = heap[0]
            if self._valid(number, kind, entry):
                return at
            heappop(heap)
        return None

    def pop(self, now: float, most: int | None = None) -> list[Due[K]]:
        """Take out the runs due at ``now``, in order, at most ``most`` of them."""
        due: list[Due[K]] = []
        while most is None or len(due) < most:
            heap = self._first_heap()
            if not heap or heap[0][0] > now:
                break
            at, number, kind, entry = heappop(heap)
            if not self._valid(number, kind, entry):
                continue
            if kind == _GRID:
                missed = entry.advance(now)
                entry.grid = self._push(entry.due, _GRID, entry)
                due.append(Due(entry.key, at, missed))
            elif kind == _EXTRA:
                entry.extra = None
                due.append(Due(entry.key, at, extra=True))
            else:
                entry.beside -= 1
                due.append(Due(entry.key, at, extra=True, beside=True))
        if self._old:
            self._tidy()
        return due

    def _first_heap(self) -> list[_Item[K]]:
        """Return the heap with the item that is due first."""
        if self._old and (not self._heap or self._old[0] < self._heap[0]):
            return self._old
        return self._heap

    def _push(self, at: float, kind: int, entry: _Entry[K]) -> int:
        self._sequence += 1
        heappush(self._heap, (at, self._sequence, kind, entry))
        return self._sequence

    @staticmethod
    def _valid(number: int, kind: int, entry: _Entry[K]) -> bool:
        """Whether a heap item still stands for something; changes leave old items behind."""
        if not entry.alive:
            return False
        if kind == _BESIDE:
            return True
        return number == (entry.grid if kind == _GRID else entry.extra)

    def _tidy(self) -> None:
        """Leave stale items behind once they outweigh the rest, a few of them each time.

        What is left of a heap when its last item is taken is a heap too.
        """
        old = self._old
        for _ in range(min(_MOVED, len(old))):
            item = old.pop()
            if self._valid(*item[1:]):
                heappush(self._heap, item)
        if not old and len(self._heap) > _SPARE + 4 * len(self._entries):
            self._old, self._heap = self._heap, []
