"""A token bucket in which what matters less leaves part to what matters more. Pure."""

from __future__ import annotations

from probe.state.history import Urgency

_LEAVES = {
    Urgency.CONFIRM: 0.0,
    Urgency.CLEAR: 0.2,
    Urgency.SUSPECT: 0.4,
    Urgency.NAMED: 0.6,
    Urgency.WATCH: 0.8,
}
"""Share of the bucket that an urgency leaves to higher ones."""


class Budget:
    """A token bucket with levels.

    Args:
        rate: tokens a second.
        burst: tokens in a full bucket; it starts full.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._filled: float | None = None

    def take(self, wanted: int, urgency: Urgency, now: float, cost: float = 1.0) -> int:
        """How many of ``wanted`` attempts of ``cost`` tokens each are granted.

        ``now`` is monotonic seconds.
        """
        if self._filled is not None and now > self._filled:
            self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        free = self._tokens - _LEAVES[urgency] * self.burst
        granted = max(0, min(wanted, int(free / cost)))
        self._tokens -= granted * cost
        return granted

    def resize(self, rate: float, burst: float) -> None:
        """Change rate and size; tokens beyond the new size are lost."""
        self.rate = rate
        self.burst = burst
        self._tokens = min(self._tokens, burst)
