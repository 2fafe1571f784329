"""How late the event loop runs: what would otherwise be reported as the targets' latency."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

_MEMORY = 1.0
"""Seconds for which a stall counts as current."""


class LagMeter(trio.abc.Instrument):
    """Knows the loop's lateness of the last second, from two sources.

    - Each turn of the loop is measured: nothing that became ready during a turn is noticed
      before its end. This sees every stall of our own making, and wakes nobody for it.
    - A few times a second a sleeper sees how much later than asked it woke. This also sees
      what no turn does: a process that the kernel did not let run. These are the samples;
      more of them would be half of what an idle agent costs.

    Args:
        on_sample: told each sample, and the worst of sample and turns since the one before, in
            seconds. The first is what anything that waits meets; the second misses nothing.
        period: seconds between samples.
    """

    def __init__(
        self,
        on_sample: Callable[[float, float], None] = lambda _, __: None,
        *,
        period: float = 0.25,
    ) -> None:
        self._on_sample = on_sample
        self._period = period
        self._recent: deque[float] = deque([0.0], maxlen=max(1, round(_MEMORY / period)))
        self._due: float | None = None
        self._turn_began: float | None = None
        self._longest = 0.0  # turn since the last sample

    def current(self) -> float:
        """Seconds: the worst of the last second, what is under way now included."""
        now = trio.current_time()
        overdue = 0.0 if self._due is None else now - self._due
        turn = 0.0 if self._turn_began is None else now - self._turn_began
        return max(*self._recent, self._longest, overdue, turn)

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins (trio calls this)."""
        self._turn_began = trio.current_time()

    def before_io_wait(self, timeout: float) -> None:
        """A turn is over (trio calls this)."""
        if self._turn_began is not None:
            turn = trio.current_time() - self._turn_began
            self._longest = max(self._longest, turn)
            self._turn_began = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Measure until cancelled."""
        trio.lowlevel.add_instrument(self)
        task_status.started()
        try:
            while True:
                self._due = trio.current_time() + self._period
                await trio.sleep_until(self._due)
                late = max(0.0, trio.current_time() - self._due)
                worst = max(late, self._longest)
                self._longest = 0.0
                self._recent.append(worst)
                self._on_sample(late, worst)
        finally:
            trio.lowlevel.remove_instrument(self)
