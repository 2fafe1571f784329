"""How late the event loop runs: what would otherwise be reported as the targets' latency."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio


class LagMeter:
    """Samples the loop's lateness; the greatest of the last second is the current lag.

    A sample sleeps ``period`` and sees how much later it woke. Twenty samples a second cost
    about a thousandth of a core and see every stall longer than the period.
    """

    def __init__(
        self, on_sample: Callable[[float], None] = lambda _: None, *, period: float = 0.05
    ) -> None:
        self._on_sample = on_sample
        self._period = period
        self._recent: deque[float] = deque([0.0], maxlen=max(1, round(1.0 / period)))
        self._due: float | None = None

    def current(self) -> float:
        """Seconds: the worst lateness of the last second, a wake-up overdue now included."""
        overdue = 0.0 if self._due is None else trio.current_time() - self._due
        return max(*self._recent, overdue)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self._due = trio.current_time() + self._period
            await trio.sleep_until(self._due)
            late = max(0.0, trio.current_time() - self._due)
            self._recent.append(late)
            self._on_sample(late)
