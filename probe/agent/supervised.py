"""Keeps a loop going: what our own code does wrong in it costs a pause, never the agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from probe.model.defect import trace

LOOPS = (
    "discovery",
    "filing",
    "first look",
    "heap",
    "lag",
    "references",
    "reload",
    "report",
    "sharing",
    "sources",
    "sweep",
    "tick",
    "watchdog",
)
"""What runs beside the probes, by the name that log and metrics use."""

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds of pause after a crash; each pause is twice the one before …"""

STEADY = 300.0
"""… until the loop has run for this long."""

Crashed = Callable[[str, str], None]
"""Told the loop's name, and what was raised where."""


async def supervised(
    name: str,
    loop: Callable[..., Awaitable[None]],
    crashed: Crashed,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a loop until it is cancelled or ends by itself; begin anew when it crashes.

    Args:
        name: what the loop is called in log and metrics; one of ``LOOPS``.
        loop: says through ``task_status`` that it is ready.
        crashed: told each crash.
        task_status: started with the loop, or with its first crash: a start waits for nobody
            who may never be ready.

    Raises:
        ValueError: for another name: its first crash would be no increase of a counter.
    """
    if name not in LOOPS:
        raise ValueError(f"add {name!r} to LOOPS")
    ready, pause = _Once(task_status), SHORTEST
    while True:
        began = trio.current_time()
        try:
            await loop(task_status=ready)
            ready.started()
            return
        except* Exception as error:
            crashed(name, trace(error))
        ready.started()
        if trio.current_time() - began >= STEADY:
            pause = SHORTEST
        await trio.sleep(pause)
        pause = min(2 * pause, LONGEST)


class _Once:
    """A task status for a loop that may begin several times."""

    def __init__(self, status: trio.TaskStatus[None]) -> None:
        self._status = status
        self._told = False

    def started(self, value: None = None) -> None:
        """Pass on the first call; ignore the rest."""
        if not self._told:
            self._told = True
            self._status.started(value)
