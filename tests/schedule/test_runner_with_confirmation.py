"""The runner and the confirmation together, in virtual time: how soon is a fault named?"""

from __future__ import annotations

import trio
from trio.testing import MockClock

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Passed
from probe.model.state import Confirmation, EdgeStatus, Transition
from probe.model.target import EdgeKey
from probe.schedule import Defect, Job, Runner, Start
from probe.state.history import Attempt
from probe.state.sampling import Confirmer

START = 1_700_000_000.0
INTERVAL = 15.0
TIMEOUT = 10.0
TIMED_OUT = Failed(Failure(Phase.CONNECT, Reason.TIMEOUT))


class Check:
    """A check whose edges either answer in 50 ms or hang until the time-out."""

    def __init__(self, targets: int, edges: int = 4, limit: int = 500) -> None:
        self.hanging: set[EdgeKey] = set()
        self.transitions: list[Transition] = []
        self.starts: list[Start[EdgeKey]] = []
        self.defects: list[Defect[EdgeKey]] = []
        self.keys = [
            EdgeKey("stores", f"{n}.example", "cdn-b", f"192.0.2.{edge}:443", "default")
            for n in range(targets)
            for edge in range(edges)
        ]
        self.confirmer = Confirmer(Confirmation(), INTERVAL)
        self.confirmer.add(self.keys)
        self.runner: Runner[EdgeKey] = Runner(
            wall=lambda: START,
            limit=limit,
            on_start=self.starts.append,
            on_defect=self.defects.append,
        )

    def start(self) -> None:
        for key in self.keys:
            self.runner.put(self.job(key))

    def job(self, key: EdgeKey) -> Job[EdgeKey]:
        async def call() -> None:
            began = trio.current_time()
            hangs = key in self.hanging
            await trio.sleep(TIMEOUT if hangs else 0.05)
            now = trio.current_time()
            attempt = Attempt(key, TIMED_OUT if hangs else Passed(), START + began, now - began)
            step = self.confirmer.record(attempt, now)
            if step.transition:
                self.transitions.append(step.transition)
            for request in step.extra:
                self.runner.request(request.key, after=request.after, beside=request.beside)

        return Job(key, "stores", INTERVAL, TIMEOUT + 1, call, kin=(key.provider, key.edge))

    def named(self, status: EdgeStatus) -> dict[EdgeKey, float]:
        """When edges entered a status, in virtual seconds."""
        return {
            change.key: change.at - START
            for change in self.transitions
            if change.after == status and isinstance(change.key, EdgeKey)
        }


async def test_a_hanging_edge_is_failing_after_one_more_time_out_not_four(
    autojump_clock: MockClock,
) -> None:
    check = Check(targets=1)
    sick = check.keys[2]
    async with trio.open_nursery() as nursery:
        check.start()
        await nursery.start(check.runner.run)
        await trio.sleep_until(30)
        check.hanging.add(sick)
        await trio.sleep_until(75)
        nursery.cancel_scope.cancel()
    assert set(check.named(EdgeStatus.FAILING)) == {sick}
    suspect, failing = check.named(EdgeStatus.SUSPECT)[sick], check.named(EdgeStatus.FAILING)[sick]
    assert suspect <= 30 + INTERVAL + TIMEOUT
    assert failing - suspect < 4 + TIMEOUT + 0.1
    assert check.defects == []


async def test_recovery_of_a_hanging_edge_is_seen_within_an_interval_and_confirmed_in_seconds(
    autojump_clock: MockClock,
) -> None:
    check = Check(targets=1)
    check.hanging.add(check.keys[0])
    async with trio.open_nursery() as nursery:
        check.start()
        await nursery.start(check.runner.run)
        await trio.sleep_until(90)
        check.hanging.clear()
        await trio.sleep_until(130)
        nursery.cancel_scope.cancel()
    assert 90 < check.named(EdgeStatus.PASSING)[check.keys[0]] < 90 + INTERVAL + TIMEOUT + 5
    assert check.confirmer.histories[check.keys[0]].status is EdgeStatus.PASSING


async def test_an_outage_of_a_whole_location_is_named_and_delays_no_healthy_edge(
    autojump_clock: MockClock,
) -> None:
    """200 of 400 edges hang from one moment on, with all their confirmations."""
    check = Check(targets=100, limit=100)
    sick = {key for key in check.keys if key.edge in ("192.0.2.0:443", "192.0.2.1:443")}
    async with trio.open_nursery() as nursery:
        check.start()
        await nursery.start(check.runner.run)
        await trio.sleep_until(20)
        check.hanging |= sick
        await trio.sleep_until(140)
        counts = check.runner.counts()["stores"]
        nursery.cancel_scope.cancel()
    failing = check.named(EdgeStatus.FAILING)
    assert set(failing) == sick
    times = sorted(failing.values())
    assert times[0] < 20 + TIMEOUT + 4 + TIMEOUT + 0.1
    assert times[-1] < 20 + 60
    healthy = [start for start in check.starts if start.job.key not in sick]
    assert max(start.lateness for start in healthy) < 0.01
    assert counts.in_flight <= 300
    assert check.defects == []
