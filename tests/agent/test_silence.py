"""Whatever stops the looking, nothing stays green by it; and how soon a start has looked at all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from probe.agent.coverage import Coverage
from probe.agent.filing import Excuse, Filing
from probe.agent.jobs import JobKey
from probe.agent.log import EventLog
from probe.agent.parts import build_parts
from probe.agent.warmup import say_first_look
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed, Timings, TlsResult
from probe.model.spec import Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.state import EdgeStatus
from probe.model.target import AddressRules, Edge, EdgeKey, Resolution, Target
from probe.model.tls import ChainExpectations, ClientProfile, DaysLeft, Trust
from probe.probers.tls import TlsProber
from probe.schedule import Runner
from probe.serve import Store
from probe.serve.http.metrics import blocks
from probe.serve.page.standing import Level
from probe.serve.page.status import status_of
from probe.serve.records import TargetKey
from probe.serve.series.family import Format
from probe.state.vantage import Vantage

START = 1_700_000_000.0
BROKEN = Failed(Failure(Phase.TLS, Reason.RESET))
OURS = Inconclusive(Failure(Phase.TLS, Reason.LOCAL_RESOURCE))


@dataclass
class Edges:
    """Stands for prober and finder: what an attempt does at the moment."""

    outcome: Outcome = field(default_factory=Passed)
    stopped: str = ""
    release: trio.Event = field(default_factory=trio.Event)
    asked: dict[EdgeKey, float] = field(default_factory=dict)
    looks: list[tuple[float, EdgeKey, TlsCheck]] = field(default_factory=list)
    takes: float = 0.05

    async def probe(
        self, key: EdgeKey, edge: Edge, target: Target, check: TlsCheck, profile: ClientProfile
    ) -> TlsResult:
        at = trio.current_time()
        self.asked.setdefault(key, at)
        self.looks.append((at, key, check))
        if self.stopped == "crashes":
            raise IndexError("list index out of range")
        if self.stopped == "hangs":
            with trio.CancelScope(shield=True):
                await self.release.wait()
        await trio.sleep(self.takes)
        outcome = self.outcome if edge.ip.endswith(".1") else Passed()
        if self.stopped == "is inconclusive":
            outcome = OURS
        return TlsResult(key, edge, START + at, outcome, Timings(total=0.05))

    async def find(
        self, provider: Provider, target: Target, port: int, _: AddressRules
    ) -> Resolution:
        await trio.sleep(0.2)
        edges = (Edge(f"192.0.2.{number}", port) for number in (1, 2))
        return Resolution(tuple(edges), ttl=30.0, seconds=0.2)


class World:
    """Edges that run in an agent's own parts, all but prober and DNS."""

    def __init__(self, edges: Edges, *, interval: float = 30.0, targets: int = 1) -> None:
        check = TlsCheck("stores", "stores", ("live",), interval=interval, timeout=5.0)
        names = tuple(Target(f"shop-{number}.example") for number in range(targets))
        spec = Spec("here", Listen("127.0.0.1", 0), {"live": Provider("live")},
                    {"stores": TargetList("stores", names)}, (check,))  # fmt: skip
        self.spec, self.check = spec, check
        parts = build_parts(spec, {})
        finder: Any = parts.finder
        finder.find = edges.find
        parts = replace(parts, tls=cast("TlsProber", edges))
        self.store = Store("here", started_at=START, clock=trio.current_time, wall=self.wall)
        self.runner: Runner[JobKey] = Runner(wall=lambda: START)
        ask: Callable[[JobKey, float, bool], object] = lambda key, after, beside: (  # noqa: E731
            self.runner.request(key, after=after, beside=beside)
        )
        filing = Filing(self.store, EventLog(), Excuse(Vantage()), ask)
        self.coverage = Coverage(parts, self.runner, filing, self.store)
        self.store.configure(spec)
        list(self.coverage.configure(spec))
        list(self.coverage.set_targets("stores", names))

    def reload(self, **changes: Any) -> TlsCheck:
        """Follow a configuration in which the check reads otherwise."""
        check = replace(self.check, **changes)
        spec = replace(self.spec, checks=(check,))
        list(self.coverage.retire(spec))
        self.store.configure(spec)
        list(self.coverage.configure(spec))
        return check

    async def run(self, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        """The runner, which can be ended alone."""
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.runner.run)
                task_status.started(scope)

    def wall(self) -> float:
        return START + trio.current_time()

    def text(self) -> str:
        return b"".join(blocks(self.store, Format.TEXT)).decode()

    def claims(self) -> list[str]:
        """Series that say that something is well now."""
        words = ("probe_success{", "probe_edge_up{", "probe_resolve_success{", 'state="passing"')
        return [
            line
            for line in self.text().splitlines()
            if line.endswith(" 1.0") and any(word in line for word in words)
        ]

    def level(self) -> Level:
        list(self.store.sweep())
        return status_of(self.store, self.wall()).level


@pytest.mark.parametrize("stop", ["crashes", "hangs", "is inconclusive", "the runner is dead"])
@pytest.mark.parametrize("outcome", [Passed(), BROKEN], ids=["passing", "failing"])
async def test_nothing_stays_green_by_silence(
    autojump_clock: MockClock, stop: str, outcome: Outcome
) -> None:
    edges, failing = Edges(outcome), isinstance(outcome, Failed)
    world = World(edges)
    async with trio.open_nursery() as whole:
        runner = await whole.start(world.run)
        await trio.sleep(100)
        assert len(world.claims()) == (3 if failing else 6)
        assert world.level() is (Level.TROUBLE if failing else Level.OK)
        edges.stopped = stop
        if stop == "the runner is dead":
            runner.cancel()
        await trio.sleep(31)
        assert failing or world.claims(), "a run that is lost is no silence"
        await trio.sleep(100)
        dns = [line for line in world.claims() if "resolve" in line]
        assert world.claims() == dns
        assert 'state="unseen"' in world.text()
        for seconds in (0, 10_000):
            await trio.sleep(seconds)
            assert ('state="failing"' in world.text()) is failing, "silence ends no alert"
            assert ("probe_success{" in world.text()) is failing
            assert world.level() is (Level.TROUBLE if failing else Level.UNSURE)
        assert bool(world.claims()) is (stop != "the runner is dead"), "DNS is asked on"
        edges.release.set()
        whole.cancel_scope.cancel()


@pytest.mark.parametrize("interval", [10.0, 300.0, 3600.0])
async def test_a_start_looks_at_everything_within_a_minute(
    autojump_clock: MockClock, interval: float
) -> None:
    edges = Edges()
    world = World(edges, interval=interval, targets=200)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.runner.run)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert len(edges.asked) == 400
    halves = [sum(1 for at in edges.asked.values() if at < 27), len(edges.asked)]
    assert interval == 10.0 or halves[0] < 0.75 * halves[1], "spread, not at once"
    assert world.store.silence.awaited == set()


@pytest.mark.parametrize("fits", [True, False])
async def test_a_first_look_that_cannot_fit_says_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, fits: bool
) -> None:
    caplog.set_level(logging.INFO, logger="probe")
    store = Store("here", started_at=START, clock=trio.current_time)
    keys = [EdgeKey("stores", f"shop-{n}.example", "live", "192.0.2.1:443", "") for n in range(9)]
    for key in keys:
        store.expect(key, 3600.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(say_first_look, store, EventLog(), 500)
        for number, key in enumerate(keys):
            await trio.sleep(6.0 if fits else 29.0)
            result = TlsResult(key, Edge("192.0.2.1", 443), START, Passed(), Timings())
            store.record_edge(result, EdgeStatus.PASSING, START)
            if number == 2:
                store.expect(EdgeKey("stores", "late.example", "live", "192.0.2.1:443", ""), 60.0)
    said = [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records]
    if fits:
        assert said == []
        return
    (late, more), (over, much) = said
    assert late == "first look takes longer"
    assert (more["left"], more["of"]) == (7, 9)
    assert "concurrency: 500" in more["note"]
    assert over == "first look over"
    assert much["seconds"] == 300


@pytest.mark.parametrize(
    "change",
    [
        {"sni": "other.example"},
        {"starttls": "smtp"},
        {"trust": Trust("file", "roots.pem")},
        {"expect": ChainExpectations(days_left=DaysLeft(30.0, None))},
        {"profiles": (ClientProfile(groups=("X25519",)),)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_check_that_a_reload_changed_looks_at_all_its_edges_in_seconds(
    autojump_clock: MockClock, change: dict[str, Any]
) -> None:
    edges = Edges()
    world = World(edges, interval=300.0, targets=100)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.runner.run)
        await trio.sleep(100)
        check = world.reload(**change)
        await trio.sleep(3)
        looked = {key: at for at, key, asked in edges.looks if asked is check}
        assert looked.keys() == edges.asked.keys()
        assert 60 < sum(at < 101 for at in looked.values()) < 140, "spread, not at once"
        nursery.cancel_scope.cancel()


async def test_a_reload_that_leaves_the_question_as_it_was_asks_nothing(
    autojump_clock: MockClock,
) -> None:
    edges = Edges()
    world = World(edges, interval=3600.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.runner.run)
        await trio.sleep(100)
        check = world.reload(labels={"team": "stores"})
        await trio.sleep(3)
        assert not [key for _, key, asked in edges.looks if asked is check]
        nursery.cancel_scope.cancel()


async def test_an_attempt_that_a_reload_met_says_nothing_of_the_new_check(
    autojump_clock: MockClock,
) -> None:
    edges = Edges()
    world = World(edges, interval=3600.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.runner.run)
        await trio.sleep(100)
        key = next(iter(edges.asked))
        edges.takes = 4.0
        world.runner.request(key)
        await trio.sleep(1)
        check = world.reload(sni="other.example")
        before = world.store.targets[TargetKey(key.check, key.target)].edges[key].last.at
        edges.takes = 0.05
        await trio.sleep(3.02)
        assert world.store.targets[TargetKey(key.check, key.target)].edges[key].last.at == before
        await trio.sleep(0.1)
        assert [at for at, who, asked in edges.looks if asked is check and who == key] == [104.0]
        assert world.store.targets[TargetKey(key.check, key.target)].edges[key].last.at > before
        nursery.cancel_scope.cancel()
