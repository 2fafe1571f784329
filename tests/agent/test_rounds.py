"""The gate's rounds in virtual time: what is tried again, and when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from probe.agent import rounds as once
from probe.agent.parts import Parts
from probe.agent.rounds import Round, passed
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, Passed, Result, StepResult, Timings, TlsResult
from probe.model.spec import Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution, Target
from probe.report import RowVerdict, exit_code, rows_of
from probe.report.progress import RoundProgress

GOOD, BAD = Target("good.example"), Target("bad.example")
EDGE, NEW = Edge("192.0.2.1", 443), Edge("192.0.2.2", 443)
MISSING = Failed(Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME))
CHECK = TlsCheck("stores", "stores", ("cdn-b",))
SPEC = Spec(
    "sa-east",
    Listen(),
    {"cdn-b": Provider("cdn-b", hostname="cdn-b.example")},
    {"stores": TargetList("stores", static=(GOOD, BAD))},
    (CHECK,),
)
FLOW = ApiCheck("cli", (Step("whoami", "backend", RequestTemplate("GET", "https://api.example/")),))


class World:
    """One edge for each name; an attempt takes ``seconds``."""

    def __init__(self, right: Callable[[str], bool], seconds: float = 1.0) -> None:
        self.tried: Counter[str] = Counter()
        self._right = right
        self.seconds = seconds

    async def find(self, *_: Any) -> Resolution:
        return Resolution((EDGE,))

    async def probe(self, key: EdgeKey, edge: Edge, *_: Any) -> TlsResult:
        await trio.sleep(self.seconds)
        self.tried[key.target] += 1
        return TlsResult(
            key, edge, 0.0, Passed() if self._right(key.target) else MISSING, Timings()
        )

    def round(self, attempts: int = 1) -> Round:
        parts = cast("Parts", SimpleNamespace(finder=self, tls=self))
        return Round(parts, SPEC, {"stores": (GOOD, BAD)}, attempts=attempts)


@pytest.fixture
def clock(autojump_clock: MockClock) -> MockClock:
    return autojump_clock


async def test_only_what_is_wrong_is_tried_again_and_all_of_it_is_proved(clock: MockClock) -> None:
    ready = trio.current_time() + 60
    world = World(lambda name: name == GOOD.name or trio.current_time() > ready)
    results = await world.round(attempts=5).wait(600)
    assert all(passed(result) for result in results)
    assert world.tried[GOOD.name] == 10  # the first round and the proof, five each
    assert world.tried[BAD.name] > 15
    assert trio.current_time() < ready + 25


async def test_what_breaks_during_the_proof_is_found_and_waited_for(clock: MockClock) -> None:
    began = trio.current_time()

    def right(name: str) -> bool:
        now = trio.current_time() - began
        return now > 4 if name == BAD.name else now < 5 or now > 30

    results = await World(right).round().wait(600)
    assert all(passed(result) for result in results)
    assert trio.current_time() - began > 30


async def test_it_ends_when_time_is_up_and_says_what_was_seen_last(clock: MockClock) -> None:
    began = trio.current_time()
    world = World(lambda name: name == GOOD.name, seconds=8.0)
    results = await world.round(attempts=2).wait(30)
    assert trio.current_time() - began == pytest.approx(30, abs=5)
    tls = {r.key.target: r.outcome for r in results if isinstance(r, TlsResult)}
    assert tls == {GOOD.name: Passed(), BAD.name: MISSING}


async def test_a_round_that_is_cut_off_ends_at_once(clock: MockClock) -> None:
    began = trio.current_time()
    # First round: 4 s. Then attempts hang for a minute.
    world = World(lambda name: name == GOOD.name, seconds=4.0)
    round_ = world.round()
    async with trio.open_nursery() as nursery:

        async def slow_down() -> None:
            await trio.sleep(6)
            world.seconds = 60.0

        nursery.start_soon(slow_down)
        results = await round_.wait(20)
    assert trio.current_time() - began == pytest.approx(20)
    tls = {r.key.target: r.outcome for r in results if isinstance(r, TlsResult)}
    assert tls == {GOOD.name: Passed(), BAD.name: MISSING}


class Moving(World):
    """Everything is right at 6 s. From then on DNS names another edge for one of the names.

    What is said to hang does so from then on.
    """

    def __init__(self, hangs: str) -> None:
        super().__init__(lambda name: name == GOOD.name or trio.current_time() > 6)
        self.hangs = hangs

    async def _hang(self, what: str) -> None:
        if what == self.hangs and trio.current_time() > 6.5:
            await trio.sleep_forever()

    async def find(self, provider: Provider, target: Target, *_: Any) -> Resolution:
        if target == GOOD:
            return Resolution((EDGE,))
        await self._hang("dns")
        return Resolution((NEW if trio.current_time() > 6.5 else EDGE,))

    async def probe(self, key: EdgeKey, edge: Edge, *rest: Any) -> TlsResult:
        await self._hang(edge.ip)
        return await super().probe(key, edge, *rest)

    async def run(self, key: FlowKey, *_: Any, resolve: Any) -> FlowResult:
        await self._hang("flow")
        return FlowResult(key, 0.0, Passed(), (StepResult("whoami", "backend", Passed()),))


@pytest.mark.parametrize(
    ("hangs", "unproved"),
    [
        (NEW.ip, (BAD.name, NEW.label, "default", "connect")),
        ("dns", (BAD.name, EDGE.label, "default", "connect")),
        ("flow", ("cli", "", "run", "send")),
        ("nothing", None),
    ],
)
async def test_a_proof_that_is_cut_off_proves_nothing(
    clock: MockClock, hangs: str, unproved: tuple[str, ...] | None
) -> None:
    world = Moving(hangs)
    parts = cast("Parts", SimpleNamespace(finder=world, tls=world, flow=world))
    round_ = Round(parts, replace(SPEC, checks=(CHECK, FLOW)), {"stores": (GOOD, BAD)})
    rows = rows_of(await round_.wait(20))
    assert exit_code(rows) == (3 if unproved else 0)
    short = [(row.target, row.edge, row.what, row.phase) for row in rows if row.reason]
    assert short == ([unproved] if unproved else [])
    assert {(row.reason, row.detail) for row in rows if row.reason} <= {
        ("timeout", "not proved in time")
    }
    ended = {row.edge for row in rows if row.target == BAD.name}
    assert ended == {EDGE.label if hangs == "dns" else NEW.label}, "what DNS names, no other"


async def test_progress_counts_each_result_once_however_many_rounds(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Result] = []

    def counted(result: Result) -> bool:
        asked.append(result)
        return passed(result)

    monkeypatch.setattr(once, "passed", counted)
    told: list[RoundProgress] = []
    world = World(lambda name: not name.startswith("bad"))
    targets = tuple(Target(f"{'bad' if n % 10 == 0 else 'good'}-{n}.example") for n in range(500))
    parts = cast("Parts", SimpleNamespace(finder=world, tls=world))
    round_ = Round(parts, SPEC, {"stores": targets}, on_progress=told.append)
    await round_.run()
    assert len(asked) == 1000  # a question and an attempt for each target
    broken = f"cdn-b {EDGE.label} default  tls/alert_unrecognized_name"
    assert told[-1] == RoundProgress(done=1000, known=1000, wrong=50, failing={broken: 50})
    assert all(one.wrong <= one.done <= one.known for one in told)
    assert [one.done for one in told] == sorted(one.done for one in told)
    told.clear()
    await round_.run({ProviderKey("stores", "bad-0.example", "cdn-b")})
    assert told[-1] == RoundProgress(done=2, known=2, wrong=1, failing={broken: 1})


class Crashing(World):
    """Raises for one target, where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__(lambda name: True)
        self.where = where

    def _crash(self, where: str, target: str) -> None:
        if self.where == where and target in (BAD.name, "cli"):
            raise IndexError("s3cr3t")

    async def find(self, provider: Provider, target: Target, *rest: Any) -> Resolution:
        self._crash("find", target.name)
        return await super().find(provider, target, *rest)

    async def probe(self, key: EdgeKey, edge: Edge, *rest: Any) -> TlsResult:
        self._crash("probe", key.target)
        return await super().probe(key, edge, *rest)

    async def run(self, key: FlowKey, *_: Any, resolve: Any) -> FlowResult:
        self._crash("run", key.check)
        return FlowResult(key, 0.0, Passed(), (StepResult("whoami", "backend", Passed()),))


@pytest.mark.parametrize(
    ("where", "what", "phase"),
    [("find", "dns", "resolve"), ("probe", "default", "connect"), ("run", "run", "send")],
)
async def test_a_defect_is_a_row_and_every_other_row_stays(
    clock: MockClock, where: str, what: str, phase: str
) -> None:
    world = Crashing(where)
    parts = cast("Parts", SimpleNamespace(finder=world, tls=world, flow=world))
    spec = replace(SPEC, checks=(CHECK, FLOW))
    rows = rows_of(await Round(parts, spec, {"stores": (GOOD, BAD)}).run())
    assert exit_code(rows) == 3
    (bad,) = (row for row in rows if row.verdict is not RowVerdict.PASS)
    assert (bad.what, bad.phase, bad.reason) == (what, phase, "defect")
    assert bad.target == ("cli" if where == "run" else BAD.name)
    assert bad.detail.startswith("IndexError at ")
    assert "s3cr3t" not in bad.detail
    good = {(row.check, row.target) for row in rows if row.verdict is RowVerdict.PASS}
    everything = {("stores", GOOD.name), ("stores", BAD.name), ("cli", "cli")}
    assert good == everything - {(bad.check, bad.target)}
