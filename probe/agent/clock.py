"""This host's wall clock: whether it was set while we run, and what the kernel says of it."""

from __future__ import annotations

import ctypes
import struct
import sys
import time
from collections.abc import Callable

STEP = 0.5
"""Seconds by which the wall clock and the monotonic one come apart between two looks when it was
set: slewing, adjtime(3) and NTP's own, moves it by 0.5 ms a second."""

_TRUSTED_READING = 0.1
"""Seconds that reading both clocks may take: the process was not running in between otherwise."""

_UNSYNCHRONIZED = 0x40  # STA_UNSYNC of linux/timex.h
_STATUS = struct.Struct("@I4xqqqqi")  # struct timex up to status, where long has 64 bits
_TIMEX_SIZE = 256  # more than the 208 bytes that it has


class WallWatch:
    """Compares the wall clock with the monotonic one.

    Args:
        wall: seconds since the epoch.
        steady: monotonic seconds of the same host. Not trio's: tests replace that one alone.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._apart: float | None = None

    def step(self) -> float:
        """Return the seconds by which the clock was set since the last look; 0 for not at all.

        A host that slept is seen as a step too: the monotonic clock stands still meanwhile.
        """
        before = self._steady()
        apart = self._wall() - before
        if self._steady() - before > _TRUSTED_READING:
            return 0.0
        moved = 0.0 if self._apart is None else apart - self._apart
        self._apart = apart
        return moved if abs(moved) > STEP else 0.0


def synchronized() -> bool | None:
    """Ask the kernel whether anything keeps its clock right (adjtimex(2), which changes nothing).

    Returns:
        None where it cannot be asked: another system, or a sandbox that forbids the call.
    """
    if not sys.platform.startswith("linux") or struct.calcsize("@l") != 8:
        return None
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes is 0: read only
    try:
        state: int = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):  # a C library without it
        return None
    if state < 0:
        return None
    return not _STATUS.unpack_from(timex)[-1] & _UNSYNCHRONIZED
