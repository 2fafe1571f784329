"""The last hour of one edge in 60 bytes: a failure in a minute hides what passed in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import log10

from probe.model.result import Failed, Inconclusive, Outcome

MINUTES = 60
"""How far back a trace goes."""

Minutes = tuple[float | str | None, ...]
"""Each minute, oldest first: seconds, "failed", "unclear"; None: no attempt."""

_SLOT = 60.0
_NOTHING, _OURS, _FAILED = 0, 254, 255
_FASTEST, _DECADES, _STEPS = 1e-4, 6.0, 252
"""Latencies are kept on a scale of logarithms, from 0.1 ms to 100 s, 6 % apart."""


class Trace:
    """What became of an edge's attempts, minute by minute.

    Of each minute the gravest is kept: that one failed, else that one could not be judged, else
    the slowest.
    """

    __slots__ = ("_minute", "_slots")

    def __init__(self) -> None:
        self._slots = bytearray(MINUTES)
        self._minute = 0

    def add(self, at: float, outcome: Outcome, seconds: float) -> None:
        """Note one attempt that began at this wall time; what is older than the trace is not."""
        minute = int(at // _SLOT)
        ahead = minute - self._minute
        if ahead > 0:
            self._slots = self._slots[min(ahead, MINUTES) :] + bytes(min(ahead, MINUTES))
            self._minute = minute
        place = MINUTES - 1 + min(0, ahead)
        if place >= 0:
            self._slots[place] = max(self._slots[place], _value(outcome, seconds))

    def minutes(self, now: float) -> Iterator[float | str | None]:
        """Each minute up to now, as of ``Minutes``."""
        behind = max(0, int(now // _SLOT) - self._minute)
        for value in self._slots[behind:]:
            yield _meaning(value)
        for _ in range(min(behind, MINUTES)):
            yield None


def _value(outcome: Outcome, seconds: float) -> int:
    if isinstance(outcome, Failed):
        return _FAILED
    if isinstance(outcome, Inconclusive):
        return _OURS
    share = log10(max(seconds, _FASTEST) / _FASTEST) / _DECADES
    return 1 + round(min(share, 1.0) * _STEPS)


def _meaning(value: int) -> float | str | None:
    if value == _NOTHING:
        return None
    if value == _FAILED:
        return "failed"
    if value == _OURS:
        return "unclear"
    return float(_FASTEST * 10 ** ((value - 1) / _STEPS * _DECADES))
