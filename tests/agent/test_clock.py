"""Whether this host's clock was set, by two clocks that are given; and the kernel's own word."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import pytest

from probe.agent.clock import WallWatch, synchronized


@dataclass
class Clocks:
    """A host's two clocks; reading the steady one may take a while."""

    apart: float = 1_800_000_000.0
    now: float = 0.0
    pause: float = 0.0

    def wall(self) -> float:
        return self.apart + self.now

    def steady(self) -> float:
        self.now += self.pause
        return self.now


def test_a_step_is_seen_once_and_by_how_much() -> None:
    clocks = Clocks()
    watch = WallWatch(clocks.wall, clocks.steady)
    seen = []
    for step in (0.0, 0.0, 3600.0, 0.0, -86_400.0, 0.0):
        clocks.now += 1.0
        clocks.apart += step
        seen.append(round(watch.step(), 3))
    assert seen == [0.0, 0.0, 3600.0, 0.0, -86_400.0, 0.0]


def test_slewing_is_no_step() -> None:
    clocks = Clocks()
    watch = WallWatch(clocks.wall, clocks.steady)
    for _ in range(10_000):
        clocks.now += 1.0
        clocks.apart += 0.0005
        assert watch.step() == 0.0


def test_a_process_that_was_not_running_between_both_readings_sees_no_step() -> None:
    clocks = Clocks()
    watch = WallWatch(clocks.wall, clocks.steady)
    watch.step()
    clocks.pause = 5.0
    assert watch.step() == 0.0
    clocks.pause = 0.0
    assert watch.step() == 0.0


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [(0, 0x01, True), (5, 0x41, False), (0, 0x2001, True), (-1, 0, None)],
)
def test_what_the_kernel_says(
    state: int, status: int, said: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        def adjtimex(self, timex: Any) -> int:
            ctypes.memmove(ctypes.addressof(timex) + 40, status.to_bytes(4, "little"), 4)
            return state

    monkeypatch.setattr("probe.agent.clock.ctypes.CDLL", lambda _: Library())
    assert synchronized() is said


def test_the_kernel_of_this_host_can_be_asked() -> None:
    assert synchronized() in (True, False, None)
