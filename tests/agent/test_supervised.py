"""Loops beside the runner that crash: told, begun anew after a pause, never the agent's end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from probe.agent.process import LONGEST, STEADY, supervised


class Loop:
    """Crashes after so many seconds, each time that it runs."""

    def __init__(self, *lives: float) -> None:
        self.lives = list(lives)
        self.began: list[float] = []
        self.told: list[tuple[str, str]] = []

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.began.append(trio.current_time())
        if not self.lives:
            await trio.sleep_forever()
        await trio.sleep(self.lives.pop(0))
        raise IndexError("s3cr3t")

    def crashed(self, name: str, where: str) -> None:
        self.told.append((name, where))


async def test_a_crash_is_told_with_its_place_and_the_loop_begins_anew(
    autojump_clock: MockClock,
) -> None:
    loop = Loop(5.0)
    with trio.move_on_after(100):
        await supervised("lag", loop.run, loop.crashed)
    assert loop.began == [0.0, 6.0]
    ((name, where),) = loop.told
    assert name == "lag"
    assert where.startswith("IndexError at ")
    assert "agent/test_supervised.py:" in where
    assert "s3cr3t" not in where


async def test_the_pauses_grow_to_a_bound_and_shrink_when_it_ran_for_long(
    autojump_clock: MockClock,
) -> None:
    loop = Loop(*[0.0] * 9, STEADY, 0.0)
    with trio.move_on_after(10 * STEADY):
        await supervised("lag", loop.run, loop.crashed)
    pauses = [b - a for a, b in zip(loop.began, loop.began[1:], strict=False)]
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]
    assert pauses[9:] == [STEADY + 1, 2]


async def test_a_loop_that_ends_has_ended(autojump_clock: MockClock) -> None:
    async def nothing_to_do(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()

    loop = Loop()
    with trio.fail_after(1):
        await supervised("watchdog", nothing_to_do, loop.crashed)
    assert not loop.told


@pytest.mark.parametrize("crashes_first", [False, True])
async def test_whoever_waits_for_it_to_be_ready_waits_once_and_never_for_ever(
    autojump_clock: MockClock, *, crashes_first: bool
) -> None:
    runs = 0

    async def loop(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal runs
        runs += 1
        await trio.sleep(2)
        if not crashes_first:
            task_status.started()
        raise KeyError

    told = Loop()
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "sharing", loop, told.crashed)
        assert trio.current_time() == 2
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert runs > 2
    assert len(told.told) > 1


async def test_what_goes_wrong_while_it_is_cancelled_is_told_too(autojump_clock: MockClock) -> None:
    async def forever() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("while ending")

    async def loop(*, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(forever)

    told = Loop()
    with trio.move_on_after(1) as scope:
        await supervised("discovery", loop, told.crashed)
    assert scope.cancelled_caught
    assert [where.partition(" at ")[0] for _, where in told.told] == ["OSError"]


async def test_a_loop_without_a_counter_is_refused() -> None:
    loop = Loop()
    with pytest.raises(ValueError, match="add 'lagg' to LOOPS"):
        await supervised("lagg", loop.run, loop.crashed)
    assert loop.began == []
