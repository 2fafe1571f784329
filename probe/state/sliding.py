"""Shares over the latest seconds in constant memory. Pure; times are arguments."""

from __future__ import annotations

from collections import deque

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
