"""The runner in virtual time: exact starts, deadlines, isolation, reload, defects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from math import ceil, inf

import pytest
import trio
from trio.testing import MockClock

from probe.schedule import Defect, DefectKind, Job, Plan, Runner, Start

START = 1_700_000_000.0
SALT = "test"


class World:
    """A runner, what it reported, and jobs that note when they were called."""

    def __init__(self, limit: int = 500, slow_after: float = 1.0, slack: float = 0.0) -> None:
        self.starts: list[Start[str]] = []
        self.defects: list[Defect[str]] = []
        self.calls: list[tuple[str, float]] = []
        self.ended: list[str] = []
        self._keys: set[str] = set()
        self.runner: Runner[str] = Runner(
            wall=lambda: START,
            limit=limit,
            slow_after=slow_after,
            salt=SALT,
            slack=slack,
            first=inf,
            on_start=self.starts.append,
            on_defect=self.defects.append,
        )

    def job(
        self,
        key: str,
        seconds: float | Callable[[], float] = 0.0,
        *,
        group: str = "g",
        interval: float = 10.0,
        timeout: float = 60.0,
    ) -> Job[str]:
        """A job that takes ``seconds``."""

        async def call() -> None:
            self.calls.append((key, trio.current_time()))
            await trio.sleep(seconds() if callable(seconds) else seconds)
            self.ended.append(key)

        return Job(key, group, interval, timeout, call)

    def doing(self, key: str, act: Callable[[], Awaitable[None]], **options: float) -> Job[str]:
        """A job that does ``act``."""
        plain = self.job(key, interval=options.get("interval", 10.0))
        return Job(key, "g", plain.interval, options.get("timeout", 60.0), act)

    def times(self, key: str) -> list[float]:
        return [at for called, at in self.calls if called == key]

    def jobs(self, *jobs: Job[str]) -> None:
        """Make these all there is."""
        for job in jobs:
            self.runner.put(job)
        keys = {job.key for job in jobs}
        for key in self._keys - keys:
            self.runner.drop(key)
        self._keys = keys

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.runner.run)
            yield
            nursery.cancel_scope.cancel()


def grid(key: str, interval: float, until: float, since: float = 0.0) -> list[float]:
    """The virtual times at which the plan wants a key."""
    plan: Plan[str] = Plan(salt=SALT)
    plan.put(key, interval, START + since)
    times: list[float] = []
    while (due := plan.next_due()) is not None and due <= START + until:
        times.append(due - START)
        plan.pop(due)
    return times


def near(times: list[float]) -> object:
    """Equal but for the rounding of epoch seconds in a float (2.4e-7)."""
    return pytest.approx(times, abs=1e-5)


async def test_what_is_due_within_the_slack_starts_together_at_its_end(
    autojump_clock: MockClock,
) -> None:
    slack = 0.5
    world = World(slack=slack)
    keys = [f"k{number}" for number in range(40)]
    world.jobs(*(world.job(key) for key in keys))
    async with world.running():
        await trio.sleep(30.6)
    for key in keys:
        wanted = [ceil(due / slack) * slack for due in grid(key, 10.0, 30.0)]
        assert world.times(key)[: len(wanted)] == near(wanted)
    assert len({at for _, at in world.calls}) <= 61
    assert all(0 <= start.lateness <= slack + 1e-5 for start in world.starts)


async def test_slack_does_not_hold_up_what_is_asked_for_now_or_a_backlog(
    autojump_clock: MockClock,
) -> None:
    world = World(slack=0.5)
    keys = [f"k{number}" for number in range(200)]  # more than one turn starts
    world.jobs(*(world.job(key, interval=1000.0) for key in keys))
    async with world.running():
        await trio.sleep(0.25)
        asked = trio.current_time()
        for key in keys:
            world.runner.request(key)
        await trio.sleep(0.001)
        assert {key for key, at in world.calls if at == asked} == set(keys)


async def test_starts_are_exactly_on_the_grid(autojump_clock: MockClock) -> None:
    world = World()
    world.jobs(world.job("a"), world.job("b", interval=3.0))
    async with world.running():
        await trio.sleep(50)
    assert world.times("a") == near(grid("a", 10, 50))
    assert world.times("b") == near(grid("b", 3, 50))
    assert max(start.lateness for start in world.starts) < 1e-5
    assert world.runner.counts()["g"].started == len(world.calls)


async def test_a_key_never_overlaps_itself_and_skips_are_counted(
    autojump_clock: MockClock,
) -> None:
    world = World()
    world.jobs(world.job("a", 25.0))
    async with world.running():
        await trio.sleep(69)
    first = grid("a", 10, 100)[0]
    assert world.times("a") == near([first, first + 30, first + 60][: len(world.calls)])
    counts = world.runner.counts()["g"]
    assert counts.skipped == 4
    assert (counts.missed, counts.deferred) == (0, 0)


async def test_each_run_ends_at_its_deadline_and_that_is_a_defect(
    autojump_clock: MockClock,
) -> None:
    world = World()
    ends: list[float] = []

    async def hang() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ends.append(trio.current_time())

    world.jobs(world.doing("a", hang, interval=10.0, timeout=4.0))
    async with world.running():
        await trio.sleep(30)
    assert ends[:2] == near([at + 4 for at in grid("a", 10, 30)][:2])
    assert [defect.kind for defect in world.defects[:2]] == [DefectKind.CUT] * 2


async def test_a_call_that_cannot_be_cancelled_blocks_its_own_key_only(
    autojump_clock: MockClock,
) -> None:
    """It shields itself; with one place only, the other key must still get it."""
    world = World(limit=1)

    async def shielded() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    world.jobs(world.doing("a", shielded, interval=1000.0, timeout=2.0), world.job("b"))
    async with world.running():
        world.runner.request("a")
        await trio.sleep(90)
        assert world.times("b") == near(grid("b", 10, 90))
        counts = world.runner.counts()["g"]
        assert [defect.kind for defect in world.defects] == [DefectKind.STUCK]
        assert counts.in_flight == 0
        await trio.sleep(20)
        assert len(world.defects) == 1
        await trio.sleep(1000)
        assert len(world.starts) > 100
        assert len(world.defects) == 2  # it came back once it had ended


@pytest.mark.parametrize(
    "error",
    [
        ValueError("boom"),
        ExceptionGroup("many", [ValueError("boom"), KeyError("bang")]),
    ],
)
async def test_a_crash_is_reported_and_takes_nothing_down(
    autojump_clock: MockClock, error: Exception
) -> None:
    world = World()

    async def crash() -> None:
        raise error

    world.jobs(world.doing("a", crash), world.job("b"))
    async with world.running():
        await trio.sleep(40)
    assert world.times("b") == near(grid("b", 10, 40))
    crashes = grid("a", 10, 40)
    assert [defect.kind for defect in world.defects] == [DefectKind.CRASHED] * len(crashes)
    group = world.defects[0].error
    assert group is not None
    assert error in (group, *group.exceptions)


async def test_a_crash_during_shutdown_does_not_escape(autojump_clock: MockClock) -> None:
    """A nursery of the job's own raises Cancelled and the crash together."""
    world = World()

    async def crash_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while being cancelled")

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash_late)
            await trio.sleep_forever()

    world.jobs(world.doing("a", both))
    async with world.running():
        world.runner.request("a")
        await trio.sleep(1)
    assert [defect.kind for defect in world.defects] == [DefectKind.CRASHED]


async def test_a_slow_check_does_not_delay_another(autojump_clock: MockClock) -> None:
    world = World(limit=2)
    slow = [world.job(f"slow-{i}", 50.0, group="slow") for i in range(50)]
    world.jobs(*slow, world.job("a", group="other"))
    async with world.running():
        await trio.sleep(60)
    assert world.times("a") == near(grid("a", 10, 60))


async def test_a_total_outage_of_most_edges_leaves_the_healthy_on_time(
    autojump_clock: MockClock,
) -> None:
    """400 of 450 edges hang for 10 s each, every 15 s, from one moment on."""
    world = World(limit=100)
    broken = False
    sick = [
        world.job(f"sick-{i}", lambda: 10.0 if broken else 0.05, interval=15.0) for i in range(400)
    ]
    well = [world.job(f"well-{i}", 0.05, interval=15.0) for i in range(50)]
    world.jobs(*sick, *well)
    async with world.running():
        await trio.sleep(20)
        broken = True
        await trio.sleep(70)
        counts = world.runner.counts()["g"]
        assert counts.in_flight <= 300
        broken = False
        before = len(world.calls)
        await trio.sleep(26)
    late = [start.lateness for start in world.starts if start.job.key.startswith("well")]
    assert len(late) >= 50 * 7
    assert max(late) < 0.01
    assert counts.missed == 0
    assert counts.skipped > 0
    recovered = {key for key, _ in world.calls[before:] if key.startswith("sick")}
    assert len(recovered) == 400


async def test_slow_starts_say_so(autojump_clock: MockClock) -> None:
    """Waiting in the slow lane is intended; it must not look like a late agent."""
    world = World(limit=1)
    world.jobs(*(world.job(f"k{i}", 8.0) for i in range(4)))
    async with world.running():
        await trio.sleep(60)
    assert not world.starts[0].slow
    assert [start for start in world.starts if start.slow and start.lateness > 1.0]


async def test_reload_keeps_phase_and_does_not_disturb_runs(autojump_clock: MockClock) -> None:
    world = World()
    world.jobs(world.job("a", 3.0), world.job("b"))
    times = grid("a", 10, 60)
    async with world.running():
        await trio.sleep_until(times[1] + 1)  # "a" is in flight
        world.jobs(world.job("a", 3.0), world.job("c"))
        await trio.sleep(30)
    assert world.times("a") == near([at for at in times if at < times[1] + 31])
    assert world.ended.count("a") >= 3
    assert not [at for at in world.times("b") if at > times[1] + 1]
    assert world.times("c")


async def test_a_dropped_job_is_cancelled_in_flight_and_that_is_no_defect(
    autojump_clock: MockClock,
) -> None:
    world = World()
    world.jobs(world.job("a", 5.0))
    async with world.running():
        world.runner.request("a")
        await trio.sleep(1)
        world.runner.drop("a")
        await trio.sleep(30)
    assert len(world.calls) == 1
    assert world.ended == []
    assert world.defects == []
    counts = world.runner.counts()["g"]
    assert (counts.started, counts.in_flight) == (1, 0), "what was counted stays"


async def test_a_job_dropped_before_its_turn_never_runs(autojump_clock: MockClock) -> None:
    world = World(limit=1)
    world.jobs(world.job("a", 5.0, interval=1e6), world.job("b", interval=1e6))
    async with world.running():
        world.runner.request("a")
        await trio.sleep(0.1)
        world.runner.request("b")
        await trio.sleep(0.1)
        assert world.runner.counts()["g"].waiting == 1
        world.runner.drop("b")
        assert world.runner.counts()["g"].waiting == 0
        await trio.sleep(30)
    assert [key for key, _ in world.calls] == ["a"]


async def test_a_key_dropped_and_put_back_runs_afresh(autojump_clock: MockClock) -> None:
    world = World()
    world.jobs(world.job("a", 5.0))
    async with world.running():
        world.runner.request("a")
        await trio.sleep(1)
        world.runner.drop("a")
        world.runner.put(world.job("a", 0.0))
        world.runner.request("a")
        await trio.sleep(0.5)
    assert world.ended == ["a"]
    assert world.defects == []


async def test_a_job_may_drop_itself(autojump_clock: MockClock) -> None:
    world = World()

    async def leave() -> None:
        world.calls.append(("a", trio.current_time()))
        world.runner.drop("a")

    world.jobs(world.doing("a", leave), world.job("b"))
    async with world.running():
        await trio.sleep(40)
    assert len(world.times("a")) == 1
    assert world.times("b") == near(grid("b", 10, 40))


async def test_a_job_dropped_as_it_starts_is_not_called(autojump_clock: MockClock) -> None:
    """Two that start in the same moment and drop each other: one of them runs."""
    world = World()
    called: list[str] = []

    def dropping(key: str, other: str) -> Job[str]:
        async def call() -> None:
            called.append(key)
            world.runner.drop(other)

        return world.doing(key, call, interval=1e6)

    world.jobs(dropping("a", "b"), dropping("b", "a"))
    async with world.running():
        world.runner.request("a")
        world.runner.request("b")
        await trio.sleep(5)
    assert len(called) == 1
    assert world.defects == []
    assert len(world.starts) == 1


async def test_one_who_waits_starts_the_moment_a_quick_place_is_free(
    autojump_clock: MockClock,
) -> None:
    world = World(limit=1, slow_after=0.4)
    world.jobs(world.job("a", 50.0, interval=1e6), world.job("b", interval=1e6))
    async with world.running():
        await trio.sleep(3)
        world.runner.request("a")
        await trio.sleep(0.1)
        world.runner.request("b")
        await trio.sleep(10)
    assert world.times("b") == near([3.4])


async def test_a_job_moved_to_another_check_gives_its_place_back_to_the_first(
    autojump_clock: MockClock,
) -> None:
    world = World()
    world.jobs(world.job("a", 5.0), world.job("b"))
    async with world.running():
        world.runner.request("a")
        await trio.sleep(1)
        world.runner.put(world.job("a", 5.0, group="h"))
        await trio.sleep(30)
        world.jobs(world.job("b"))
        await trio.sleep(1)
        counts = world.runner.counts()
        assert {group: one.in_flight for group, one in counts.items()} == {"g": 0, "h": 0}


async def test_counts_of_a_check_survive_a_change_of_all_its_keys(
    autojump_clock: MockClock,
) -> None:
    world = World()
    world.jobs(world.job("a"))
    async with world.running():
        await trio.sleep(30)
        before = world.runner.counts()["g"].started
        world.jobs(world.job("b"))
        await trio.sleep(30)
        assert world.runner.counts()["g"].started > before > 0


async def test_extra_runs_come_when_asked_and_wake_the_sleeper(autojump_clock: MockClock) -> None:
    world = World()
    world.jobs(world.job("a", interval=1e6))
    async with world.running():
        await trio.sleep(5)
        assert world.runner.request("a", after=2.5)
        assert not world.runner.request("nobody")
        await trio.sleep(5)
    assert world.times("a") == near([7.5])
    assert world.starts[0].extra


async def test_runs_beside_overlap_a_run_that_hangs_and_plain_ones_do_not(
    autojump_clock: MockClock,
) -> None:
    """Four time-outs of 10 s are confirmed 4 s after the first, not 40 s after it."""
    world = World()
    world.jobs(world.job("a", 10.0, interval=1e6))
    async with world.running():
        for i in range(4):
            world.runner.request("a", after=1.0 + i, beside=True)
        world.runner.request("a", after=6.0)
        await trio.sleep(30)
    assert world.times("a") == near([1.0, 2.0, 3.0, 4.0])
    assert world.runner.counts()["g"].merged == 1


async def test_jobs_put_while_asleep_are_found(autojump_clock: MockClock) -> None:
    world = World()
    async with world.running():
        await trio.sleep(500)
        world.jobs(world.job("a"))
        await trio.sleep(20)
    assert world.times("a") == near(grid("a", 10, 520, since=500))


async def test_a_backlog_after_a_pause_is_run_once_and_the_rest_counted(
    mock_clock: MockClock,
) -> None:
    """The loop stood still for 35 s: each key runs once, three periods each are missed."""
    world = World()
    world.jobs(*(world.job(f"k{i}") for i in range(100)))
    async with world.running():
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(45)
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked()
    counts = world.runner.counts()["g"]
    assert counts.started == 100
    periods = sum(len(grid(f"k{i}", 10, 45)) for i in range(100))
    assert counts.started + counts.missed == periods


class Turns(trio.abc.Instrument):
    """How many runs had started at each turn of the event loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.started: list[int] = []

    def before_io_wait(self, timeout: float) -> None:
        self.started.append(len(self.world.starts))


async def test_a_backlog_is_spread_over_turns_of_the_event_loop(mock_clock: MockClock) -> None:
    """A thousand starts at once would make the loop lag, and the lag would look like latency."""
    world = World()
    world.jobs(*(world.job(f"k{i}") for i in range(500)))
    turns = Turns(world)
    async with world.running():
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(turns)
        mock_clock.jump(10)
        while len(world.starts) < 500:
            await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(turns)
    steps = [after - before for before, after in pairwise(turns.started)]
    assert 0 < max(steps) <= 2 * 32


async def test_a_step_of_the_wall_clock_moves_nothing(autojump_clock: MockClock) -> None:
    wall = [START]
    seen: list[Start[str]] = []
    runner: Runner[str] = Runner(wall=lambda: wall[0], salt=SALT, on_start=seen.append)
    world = World()
    runner.put(world.job("a"))
    async with trio.open_nursery() as nursery:
        await nursery.start(runner.run)
        await trio.sleep(15)
        wall[0] += 7200
        await trio.sleep(30)
        nursery.cancel_scope.cancel()
    assert world.times("a") == near(grid("a", 10, 45))


async def test_cancelling_the_runner_starts_nobody_who_waited(autojump_clock: MockClock) -> None:
    world = World(limit=1)
    world.jobs(*(world.job(f"k{i}", 500.0, interval=1e6) for i in range(5)))
    async with world.running():
        for i in range(5):
            world.runner.request(f"k{i}")
        await trio.sleep(0.5)
    assert len(world.calls) == 1


async def test_every_period_is_counted_once(autojump_clock: MockClock) -> None:
    """Starts and the ways not to start add up to the periods, overload included."""
    world = World(limit=3)
    keys = [f"k{i}" for i in range(40)]
    world.jobs(*(world.job(key, 0.3 if i % 2 else 7.0) for i, key in enumerate(keys)))
    async with world.running():
        await trio.sleep(300.3)
        counts = world.runner.counts()["g"]
        periods = sum(len(grid(key, 10, 300.3)) for key in keys)
        accounted = counts.started + counts.missed + counts.skipped + counts.deferred
        assert accounted + counts.waiting == periods
        assert counts.deferred > 0
