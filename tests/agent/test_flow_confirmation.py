"""How soon a flow is named and confirmed, and its recovery, at any interval, in virtual time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from probe.agent.filing import Excuse
from probe.agent.flow_filing import FlowFiling
from probe.agent.flows import FlowCoverage
from probe.agent.jobs import UNLISTED, JobKey
from probe.agent.log import EventLog
from probe.agent.parts import build_parts
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Persona, RequestTemplate, Step
from probe.model.result import (
    Evidence,
    Failed,
    FlowResult,
    Inconclusive,
    Outcome,
    Passed,
    StepResult,
)
from probe.model.spec import Listen, Spec
from probe.model.state import FLOW_CONFIRMATION, EdgeStatus
from probe.model.target import FlowKey, Target
from probe.probers.flow import FlowProber
from probe.schedule import Defect, Runner, Start
from probe.serve import Store
from probe.state.vantage import Vantage

START = 1_700_000_000.0
KEY = FlowKey("cli", "cli", "", "")
QUICK = FLOW_CONFIRMATION.attempts * FLOW_CONFIRMATION.spacing
PATTERNS = ["ffffppp", "ffafafpapwfpapp"]
BROKEN = Failed(Failure(Phase.EXPECT, Reason.STATUS, "answered 500"))


def flow(interval: float, *, cleanup: bool = False) -> ApiCheck:
    steps = tuple(
        Step(name, layer, RequestTemplate("GET", f"https://{name}.example/"), auth=auth)
        for name, layer, auth in (
            ("control", "control", None),
            ("whoami", "authorization", "cli"),
            ("apps", "backend", "cli"),
        )
    )
    tidy = Step("tidy", "backend", RequestTemplate("DELETE", "https://apps.example/"), cleanup=True)
    return ApiCheck("cli", (*steps, tidy) if cleanup else steps, interval=interval)


@dataclass
class Platform:
    """Stands for the prober: every run takes ``takes`` seconds and ends as the platform is."""

    takes: float = 0.3
    broken: bool = False
    spared: str = ""
    ran: list[tuple[float, float, bool]] = field(default_factory=list)
    most: int = 0
    unclear: frozenset[str] = frozenset()
    runs: list[tuple[float, str]] = field(default_factory=list)
    under_way: int = 0

    async def run(self, key: FlowKey, check: ApiCheck, *_: Any, resolve: Any) -> FlowResult:
        began, takes = trio.current_time(), self.takes
        self.runs.append((began, key.persona))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await trio.sleep(takes)
        self.under_way -= 1
        self.ran.append((began, trio.current_time(), self.broken))
        steps = []
        for step in check.steps:
            assert isinstance(step, Step)
            bad = self.broken and step.auth is not None and step.name != self.spared
            outcome: Outcome = BROKEN if bad else Passed()
            seen = Evidence(f"GET {step.request.url}", 500 if bad else 200)
            steps.append(StepResult(step.name, step.layer, outcome, attempts=1, evidence=seen))
        whole: Outcome = BROKEN if self.broken else Passed()
        if key.persona in self.unclear:
            whole = Inconclusive(Failure(Phase.AUTH, Reason.REFUSAL_UNCLEAR))
            steps.append(StepResult("cli", "login", whole, attempts=1))
        return FlowResult(key, START + began, whole, tuple(steps), takes)


class World:
    """A flow that runs in an agent's own parts, all but the prober."""

    def __init__(self, check: ApiCheck, platform: Platform) -> None:
        self.on_grid: list[float] = []
        spec = Spec("here", Listen("127.0.0.1", 0), {}, {}, (check,))
        parts = replace(build_parts(spec, {}), flow=cast("FlowProber", platform))
        self.store = Store("here", started_at=START)
        self.defects: list[Defect[JobKey]] = []
        self.runner: Runner[JobKey] = Runner(
            wall=lambda: START, on_start=self._started, on_defect=self.defects.append
        )
        ask: Callable[[JobKey, float, bool], object] = lambda key, after, beside: (  # noqa: E731
            self.runner.request(key, after=after, beside=beside)
        )
        filing = FlowFiling(self.store, EventLog(), Excuse(Vantage()), ask)
        self.store.configure(spec)
        self.flows = FlowCoverage(parts, self.runner, self.store, filing)
        list(self.flows.configure(spec))
        list(self.flows.set_targets(UNLISTED, (Target(check.name),)))

    def reload(self, check: ApiCheck) -> None:
        """Follow a new configuration, as the agent does."""
        spec = Spec("here", Listen("127.0.0.1", 0), {}, {}, (check,))
        self.store.configure(spec)
        list(self.flows.configure(spec))

    def _started(self, start: Start[JobKey]) -> None:
        if not start.extra:
            self.on_grid.append(trio.current_time())

    def named(self, after: str) -> float:
        """When the flow's diagnosis became so, the latest time; trio time."""
        return max(c.at for c in self.store.journal if c.after == after) - START


@asynccontextmanager
async def running(check: ApiCheck, platform: Platform) -> Any:
    world = World(check, platform)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.runner.run)
        yield world
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("takes", [0.3, 3.0])
@pytest.mark.parametrize("interval", [10.0, 60.0, 300.0])
async def test_a_layer_and_its_recovery_are_confirmed_in_seconds_at_any_interval(
    autojump_clock: MockClock, interval: float, takes: float
) -> None:
    platform = Platform(takes)
    async with running(flow(interval), platform) as world:
        await trio.sleep(2.2 * interval)
        platform.broken = True
        await trio.sleep(2.2 * interval)
        platform.broken = False
        await trio.sleep(2.2 * interval + QUICK)
        failed = min(end for _, end, broken in platform.ran if broken)
        passed = min(end for _, end, broken in platform.ran if not broken and end > failed)
        assert world.named("authorization") <= failed + QUICK + takes + 0.01
        assert world.named("healthy") <= passed + QUICK + takes + 0.01
        first, *others = world.on_grid
        assert len(others) >= 4  # a run that was asked for may stand for one of the grid
        assert all(abs((at - first) % interval) < 0.01 for at in others), "the grid moved"


async def test_a_flow_that_failed_now_and_then_is_well_again_in_seconds_after_the_next_run(
    autojump_clock: MockClock,
) -> None:
    """Six passes in a row, of which at five minutes only the first waits for the interval."""
    platform = Platform(broken=True)
    async with running(flow(300.0), platform) as world:
        while not platform.ran or world.store.flows[KEY].status is not EdgeStatus.FLAPPING:
            platform.broken = not platform.broken
            await trio.sleep(1.3)
        platform.broken = False
        await trio.sleep(90)  # what samples a fresh suspicion is over
        platform.broken = True
        await trio.sleep(300)
        platform.broken = False
        over = trio.current_time()
        await trio.sleep(330 + 6 * (FLOW_CONFIRMATION.sample_interval + platform.takes))
        assert world.store.flows[KEY].status is EdgeStatus.PASSING
        passed = min(end for _, end, broken in platform.ran if not broken and end > over)
        assert (
            world.named("healthy")
            <= passed + 5 * (FLOW_CONFIRMATION.sample_interval + platform.takes) + 1
        )


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_good_run_accuses_nobody(
    autojump_clock: MockClock, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No line blames another layer, or none that has a name, because of a run that passed."""
    caplog.set_level(logging.INFO, logger="probe")
    platform = Platform()
    async with running(flow(10.0), platform) as world:
        await trio.sleep(20)
        for one in pattern:
            platform.broken = one != "p"
            platform.spared = {"a": "whoami", "w": "apps"}.get(one, "")
            await trio.sleep(2)
        platform.broken = False
        await trio.sleep(180)
        changes = list(world.store.journal)[::-1]
    assert [change.after for change in changes][-1:] == ["healthy"]
    ended = {round(end, 3): broken for _, end, broken in platform.ran}
    accusing = [one for one in changes if one.after not in ("healthy", "suspect")]
    for change in accusing:
        fresh = change.before in ("healthy", "suspect")
        assert fresh or ended[round(change.at - START, 3)], f"a good run: {change}"
        assert change.after != "unnamed"
    warned = [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert len(warned) == len(accusing)


async def test_a_refusal_that_may_be_everybodys_has_the_other_personas_run_at_once(
    autojump_clock: MockClock,
) -> None:
    check = replace(flow(300.0), personas=(Persona("a"), Persona("b")))
    platform = Platform()
    async with running(check, platform) as world:
        await trio.sleep(310)
        platform.unclear = frozenset({"a"})
        await trio.sleep(310)
        first = next(began for began, who in platform.runs if who == "a" and began > 310)
        since = [(began - first, who) for began, who in platform.runs if began >= first][:3]
        assert [who for _, who in since] == ["a", "b", "a"]
        assert since[1][0] == pytest.approx(platform.takes)
        assert since[2][0] == pytest.approx(platform.takes + FLOW_CONFIRMATION.spacing)
        assert not world.defects


@pytest.mark.parametrize("personas", [1, 2, 5])
async def test_a_refusal_that_stays_unclear_costs_few_runs(
    autojump_clock: MockClock, personas: int
) -> None:
    """A service that another check uses too refuses everybody: nothing here makes it clear."""
    names = [f"p{number}" for number in range(personas)]
    check = replace(flow(300.0), personas=tuple(map(Persona, names)))
    platform = Platform()
    async with running(check, platform):
        await trio.sleep(310)
        platform.unclear = frozenset(names)
        await trio.sleep(310)
    unclear = [(began, who) for began, who in platform.runs if began >= 310]
    first = min(began for began, _ in unclear)
    for name in names:
        began = [at for at, who in unclear if who == name]
        assert 5 <= sum(at < first + 40 for at in began) <= 9
        waits = [later - at for at, later in pairwise(began)]
        grid = sum(wait < FLOW_CONFIRMATION.spacing for wait in waits)
        assert grid <= 2, "back to back only where the grid says so"
        assert any(30 < at - began[0] < 42 for at in began), "the verdict is due at 30 s"


async def test_personas_that_are_not_refused_are_asked_once_and_not_back_to_back(
    autojump_clock: MockClock,
) -> None:
    names = [f"p{number}" for number in range(5)]
    check = replace(flow(300.0), personas=tuple(map(Persona, [*names, "well"])))
    platform = Platform()
    async with running(check, platform):
        await trio.sleep(310)
        platform.unclear = frozenset(names)
        await trio.sleep(250)
    well = [began for began, who in platform.runs if who == "well" and began >= 310]
    assert 2 <= len(well) <= len(names) + 2, "once for each that is refused, and the grid"
    close = [one for one, two in pairwise(well) if two - one < FLOW_CONFIRMATION.spacing - 0.01]
    assert len(close) <= 1, "the grid alone may come close"


async def test_a_persona_that_was_running_when_another_was_refused_is_asked_after_that(
    autojump_clock: MockClock,
) -> None:
    check = replace(flow(300.0), personas=(Persona("a"), Persona("b")))
    platform = Platform()
    async with running(check, platform) as world:
        await trio.sleep(310)
        platform.takes, platform.unclear = 3.0, frozenset("a")
        world.runner.request(KEY._replace(persona="b"))
        await trio.sleep(0.1)
        platform.takes = 0.3
        world.runner.request(KEY._replace(persona="a"))
        await trio.sleep(20)
    asked = [began for began, who in platform.runs if who == "b" and 310.2 < began < 330]
    assert len(asked) == 1
    assert asked[0] < 320


async def test_the_runs_of_a_flow_that_makes_things_wait_for_each_other(
    autojump_clock: MockClock,
) -> None:
    platform = Platform(takes=3.0, broken=True)
    async with running(flow(60.0, cleanup=True), platform) as world:
        await trio.sleep(100)
        assert platform.most == 1
        failed = min(end for _, end, _ in platform.ran)
        assert world.named("authorization") <= failed + QUICK + 2 * platform.takes
        assert not world.defects


def elsewhere(check: ApiCheck) -> ApiCheck:
    """The same steps at another host."""
    steps = [step for step in check.steps if isinstance(step, Step)]
    moved = (
        replace(s, request=RequestTemplate("GET", f"https://new-{s.name}.example/")) for s in steps
    )
    return replace(check, steps=tuple(moved))


@pytest.mark.parametrize("broken", [False, True])
async def test_a_flow_that_a_reload_changed_is_judged_anew_in_seconds(
    autojump_clock: MockClock, broken: bool
) -> None:
    platform = Platform(broken=broken)
    async with running(flow(300.0), platform) as world:
        await trio.sleep(310)
        status = world.store.flows[KEY].status
        assert status is (EdgeStatus.FAILING if broken else EdgeStatus.PASSING)
        platform.broken, ran = not broken, len(platform.runs)
        world.reload(elsewhere(flow(300.0)))
        if broken:
            assert world.store.flows[KEY].status is EdgeStatus.FAILING, "its alert stays"
        else:
            assert KEY not in world.store.flows, "what passed was another flow"
            assert KEY in world.store.silence.awaited
        await trio.sleep(platform.takes + QUICK + 0.5)
        status = world.store.flows[KEY].status
        assert status is (EdgeStatus.PASSING if broken else EdgeStatus.FAILING)
        assert len(platform.runs) == ran + 1 + FLOW_CONFIRMATION.attempts


async def test_a_reload_that_leaves_the_flow_as_it_was_forgets_nothing_and_runs_nothing(
    autojump_clock: MockClock,
) -> None:
    platform = Platform()
    async with running(flow(300.0), platform) as world:
        await trio.sleep(310)
        ran = len(platform.runs)
        world.reload(replace(flow(300.0), labels={"team": "cli"}))
        assert world.store.flows[KEY].status is EdgeStatus.PASSING
        await trio.sleep(5)
        assert len(platform.runs) == ran


async def test_a_run_that_a_reload_met_says_nothing_of_the_new_flow(
    autojump_clock: MockClock,
) -> None:
    platform = Platform(takes=5.0)
    async with running(flow(300.0), platform) as world:
        await trio.sleep(310)
        world.runner.request(KEY)
        await trio.sleep(1)
        began = len(platform.runs)
        world.reload(elsewhere(flow(300.0)))
        await trio.sleep(4.5)
        assert KEY not in world.store.flows
        assert len(platform.runs) == began + 1
        await trio.sleep(5)
        assert world.store.flows[KEY].status is EdgeStatus.PASSING
