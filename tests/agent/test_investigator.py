"""The investigator: from a confirmed failure to its cause, over a world that a rule describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from probe.agent.experiments import Around, observed, scene_of
from probe.agent.filing import Excuse, Filing
from probe.agent.investigator import Investigator
from probe.agent.log import EventLog
from probe.agent.process import supervised
from probe.model.cause import Cause, Investigation, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed, Timings, TlsResult
from probe.model.spec import Limits, Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.target import Edge, EdgeKey, ProviderKey, Target
from probe.model.tls import ClientProfile
from probe.serve import Store
from probe.serve.census import Through
from probe.serve.memory.causes import EdgeCounts
from probe.state.causes import BUDGET
from probe.state.vantage import Vantage

CHECK = TlsCheck("stores", "shops", ("cdn-a", "cdn-b"), interval=30.0, port=443)
TARGETS = tuple(Target(f"shop-{n}.example") for n in range(4))
EDGES = {
    "cdn-a": tuple(Edge(f"192.0.2.{n}", 443) for n in (1, 2, 3)),
    "cdn-b": tuple(Edge(f"198.51.100.{n}", 443) for n in (1, 2)),
}
SPEC = Spec(
    "lab",
    Listen(),
    MappingProxyType({name: Provider(name) for name in EDGES}),
    MappingProxyType({"shops": TargetList("shops", static=TARGETS)}),
    (CHECK,),
)
MISMATCH = Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH)
RESET = Failure(Phase.TLS, Reason.RESET)

Broken = Callable[[EdgeKey, ClientProfile], Failure | None]


class Agent:
    """The part of an agent that files and investigates, over a world that a rule describes.

    Args:
        broken: gives the failure of an attempt; None when it passes.
    """

    def __init__(self, broken: Broken) -> None:
        self.broken = broken
        self.asked: list[EdgeKey] = []
        self.said: set[bool] = set()
        self.crashes: list[str] = []
        self.unclear = False
        self.raises, self.raises_at = 0, ""
        self.store = Store("lab", started_at=0.0, clock=trio.current_time)
        self.store.configure(SPEC)
        self.found: list[Investigation] = []
        record = self.store.causes.record

        def noted(one: Investigation) -> None:
            self.found.append(one)
            record(one)

        self.store.causes.record = noted  # type: ignore[method-assign,assignment]  # kept as before
        for _ in self.store.retarget("stores", TARGETS):
            pass
        self.investigator = Investigator(
            self.probe,
            lambda _: CHECK,
            lambda: AROUND,
            lambda name: self.filing.histories(name),  # noqa: PLW0108 - made below
            self.store,
            EventLog(),
            trio.current_time,
            self.crashed,
        )
        excuse = Excuse(Vantage())
        self.filing = Filing(self.store, EventLog(), excuse, lambda *_: None, self.investigator.saw)
        self.filing.configure(SPEC, 0.0)
        self.filing.watch("stores", keys())

    async def probe(
        self, key: EdgeKey, edge: Edge, target: Target, check: TlsCheck, profile: ClientProfile
    ) -> TlsResult:
        """Make an attempt of an experiment."""
        self.asked.append(key)
        if self.raises and self.raises_at in (key.edge, ""):
            self.raises -= 1
            raise IndexError
        through = Through(key.check, key.provider)
        self.said.add(self.store.causes.under_way(through, MISMATCH.phase, MISMATCH.reason))
        await trio.sleep(0.05)
        if self.unclear:
            ours = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
            return replace(self.result(key, profile), outcome=ours)
        return self.result(key, profile)

    def result(self, key: EdgeKey, profile: ClientProfile) -> TlsResult:
        """What an attempt sees."""
        failure = self.broken(key, profile)
        outcome: Outcome = Passed() if failure is None else Failed(failure)
        edge = Edge(key.edge.rpartition(":")[0], 443)
        return TlsResult(key, edge, trio.current_time(), outcome, Timings())

    def attempt_all(self, only: Callable[[EdgeKey], bool] = lambda _: True) -> None:
        """Make a regular attempt on every edge."""
        for key in keys():
            if only(key):
                self.filing.edge(self.result(key, CHECK.profiles[0]))

    def crashed(self, _: str, where: str) -> None:
        """Note what our own code did wrong."""
        self.crashes.append(where)

    def counts(self) -> EdgeCounts:
        """What the series would say."""
        counting = self.store.causes.counted()
        while True:
            try:
                next(counting)
            except StopIteration as end:
                return cast("EdgeCounts", end.value)

    def causes(self) -> dict[EdgeKey, Cause]:
        """What is known now."""
        return {key: one.cause for one, some in self.store.causes.current() for key in some}


def keys() -> Iterator[EdgeKey]:
    """Every edge of every domain."""
    for target in TARGETS:
        for provider, edges in EDGES.items():
            for edge in edges:
                yield EdgeKey("stores", target.label, provider, edge.label, "default")


AROUND: Around = {
    ProviderKey("stores", target.label, provider): (target, edges)
    for target in TARGETS
    for provider, edges in EDGES.items()
}


async def run(agent: Agent, rounds: int = 7, seconds: float = 20.0) -> None:
    """Let everything pass once, then fail for some rounds, and wait."""
    broken, agent.broken = agent.broken, lambda *_: None
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.investigator.run)
        agent.attempt_all()
        await trio.sleep(1)
        agent.broken = broken
        for _ in range(rounds):
            agent.attempt_all()
            await trio.sleep(0.5)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


async def keep_failing(agent: Agent, seconds: float, every: float = 10.0) -> None:
    """Let regular attempts go on for a while."""
    for _ in range(int(seconds / every)):
        agent.attempt_all()
        await trio.sleep(every)


def lacks_certificate(key: EdgeKey, _: ClientProfile) -> Failure | None:
    """Two of the domains are unknown to one edge."""
    missing = key.target in ("shop-0.example", "shop-1.example")
    return MISMATCH if missing and key.edge == "192.0.2.1:443" else None


def small_hellos_pass(key: EdgeKey, profile: ClientProfile) -> Failure | None:
    """A large hello is lost at one edge."""
    small = profile.groups or profile.max_version or profile.kind != "default"
    padded = any(name.startswith("padding") for name in profile.alpn)
    return RESET if key.edge == "192.0.2.1:443" and (padded or not small) else None


async def test_domains_that_an_edge_lacks_are_settled_at_once(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(lacks_certificate)
    await run(agent)
    ((found, some),) = agent.store.causes.current()
    assert found.cause is Cause.CERTIFICATE_MISSING
    assert {key.target for key in some} == {"shop-0.example", "shop-1.example"}
    assert found.edges == ("192.0.2.1:443",)
    assert "shop-0.example, shop-1.example" in found.sentence
    assert found.spent <= 4, "regular attempts had told the rest"
    assert agent.said == {True}, "while experiments run, the page says so"
    through = Through("stores", "cdn-a")
    assert not agent.store.causes.under_way(through, MISMATCH.phase, MISMATCH.reason)
    assert not agent.crashes


async def test_an_edge_that_is_down_is_told_for_all_domains(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(lambda key, _: RESET if key.edge == "192.0.2.2:443" else None)
    await run(agent)
    assert set(agent.causes().values()) == {Cause.EDGE}
    assert len(agent.causes()) == len(TARGETS)


async def test_what_some_clients_meet_is_found(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(small_hellos_pass)
    await run(agent)
    assert set(agent.causes().values()) == {Cause.LARGE_HELLO}
    assert 0 < len(agent.asked) <= 20


async def test_nothing_is_asked_while_all_goes_well_or_when_off(
    autojump_clock: MockClock,
) -> None:
    well = Agent(lambda *_: None)
    await run(well)
    assert well.asked == []
    off = Agent(lacks_certificate)
    off.investigator.on = False
    await run(off)
    assert off.asked == []
    assert off.causes() == {}


async def test_an_edge_that_recovers_loses_its_cause(autojump_clock: MockClock) -> None:
    agent = Agent(lacks_certificate)
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.investigator.run)
        for _ in range(7):
            agent.attempt_all()
            await trio.sleep(0.5)
        await trio.sleep(10)
        assert agent.causes()
        agent.broken = lambda *_: None
        for _ in range(8):
            agent.attempt_all()
        assert agent.causes() == {}
        nursery.cancel_scope.cancel()


async def test_a_crash_costs_only_the_sentence(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(lacks_certificate)

    def broken(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr("probe.state.causes.recent.Recent.saw", broken)
    monkeypatch.setattr("probe.state.causes.recent.Recent.watch", broken)
    await run(agent)
    assert agent.crashes
    assert agent.causes() == {}
    down = [key for key in keys() if agent.filing.histories("stores")[key].status == "failing"]
    assert len(down) == 2


async def test_what_stays_undetermined_is_asked_again_with_growing_pauses(
    autojump_clock: MockClock,
) -> None:
    """Nothing comes of experiments for half an hour; then they work, and the cause is found."""
    agent = Agent(small_hellos_pass)
    agent.unclear = True
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.investigator.run)
        agent.attempt_all(lambda _: True)
        await keep_failing(agent, 10, 0.5)
        assert set(agent.causes().values()) == {Cause.UNDETERMINED}
        await keep_failing(agent, 1800)
        assert len(agent.found) in range(4, 9)
        pauses = [b.began - a.ended for a, b in pairwise(agent.found)]
        assert pauses == sorted(pauses)
        assert pauses[0] >= 60
        assert all(one.spent <= BUDGET for one in agent.found)
        agent.unclear = False
        await keep_failing(agent, 1000)
        assert set(agent.causes().values()) == {Cause.LARGE_HELLO}
        known = len(agent.found)
        await keep_failing(agent, 1800)
        assert len(agent.found) == known, "what is determined is not asked again"
        nursery.cancel_scope.cancel()


async def test_experiments_count_when_the_cause_is_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(small_hellos_pass)
    agent.unclear = True
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.investigator.run)
        await keep_failing(agent, 10, 0.5)
        first = len(agent.found[0].experiments)
        agent.unclear = False
        await keep_failing(agent, 120)
        second = agent.found[1]
        nursery.cancel_scope.cancel()
    assert second.cause is Cause.LARGE_HELLO
    assert len(second.experiments) > first, "the earlier ones are shown as well"
    made = [one for one in second.experiments if not one.regular]
    assert second.spent == sum(one.seen is not Observed.UNCLEAR for one in made)


async def test_a_crash_inside_an_investigation_begins_it_anew_and_counts_it_once(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(lacks_certificate)
    agent.raises = 1
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "causes", agent.investigator.run, agent.crashed)
        while not agent.crashes:
            await keep_failing(agent, 0.5, 0.5)
        through = Through("stores", "cdn-a")
        assert not agent.store.causes.under_way(through, MISMATCH.phase, MISMATCH.reason)
        assert agent.causes() == {}, "no sentence without an investigation that ended"
        assert agent.counts() == {}
        await keep_failing(agent, 20, 0.5)
        assert set(agent.causes().values()) == {Cause.CERTIFICATE_MISSING}
        assert [one.cause for one in agent.found] == [Cause.CERTIFICATE_MISSING]
        assert agent.counts() == {Through("stores", "cdn-a"): {"certificate_missing": 1}}
        nursery.cancel_scope.cancel()


async def test_a_crash_after_the_sentence_does_not_investigate_twice(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(lacks_certificate)
    monkeypatch.setattr(EventLog, "warning", raise_once())
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "causes", agent.investigator.run, agent.crashed)
        await keep_failing(agent, 30, 0.5)
        nursery.cancel_scope.cancel()
    assert len(agent.crashes) == 1
    assert len(agent.found) == 1


async def test_an_edge_that_recovers_while_the_loop_is_down_has_no_cause(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(lacks_certificate)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "causes", agent.investigator.run, agent.crashed)
        await keep_failing(agent, 10, 0.5)
        assert len(agent.causes()) == 2
        agent.raises = 1
        agent.broken = lambda key, _: RESET if key.edge == "192.0.2.2:443" else None
        while not agent.crashes:
            await keep_failing(agent, 0.5, 0.5)
        assert agent.causes() == {}
        assert agent.counts() == {}
        nursery.cancel_scope.cancel()


async def test_a_failure_that_crashes_each_time_is_given_up_and_others_are_not(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(
        lambda key, profile: (
            lacks_certificate(key, profile) or (RESET if key.edge == "198.51.100.1:443" else None)
        )
    )
    agent.raises, agent.raises_at = 1000, "192.0.2.1:443"
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "causes", agent.investigator.run, agent.crashed)
        await keep_failing(agent, 600)
        assert len(agent.crashes) == 3
        assert set(agent.causes().values()) == {Cause.EDGE}
        nursery.cancel_scope.cancel()


def raise_once() -> Callable[..., None]:
    """A stand-in for the log that raises the first time."""
    times = iter([True])

    def warning(*_: object, **__: object) -> None:
        if next(times, False):
            raise IndexError

    return warning


async def test_an_experiment_that_hangs_ends_in_time(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(lambda key, _: RESET if key.edge == "192.0.2.2:443" else None)

    async def hang(*_: object) -> TlsResult:
        await trio.sleep_forever()
        raise AssertionError

    agent.investigator = Investigator(
        hang,
        lambda _: CHECK,
        lambda: AROUND,
        lambda name: agent.filing.histories(name),  # noqa: PLW0108 - made below
        agent.store,
        EventLog(),
        trio.current_time,
        lambda _, where: agent.crashes.append(where),
    )
    agent.filing = Filing(
        agent.store, EventLog(), Excuse(Vantage()), lambda *_: None, agent.investigator.saw
    )
    agent.filing.configure(SPEC, 0.0)
    agent.filing.watch("stores", keys())
    await run(agent, seconds=60.0)
    assert set(agent.causes().values()) <= {Cause.UNDETERMINED, Cause.EDGE}
    assert agent.causes()


def test_an_attempt_that_came_further_did_not_meet_the_fault() -> None:
    refused = Failure(Phase.CONNECT, Reason.REFUSED)
    assert observed(Failed(MISMATCH), refused) is Observed.PASSED
    assert observed(Failed(refused), MISMATCH) is Observed.OTHER
    assert observed(Failed(RESET, (MISMATCH,)), MISMATCH) is Observed.SAME
    ours = Failure(Phase.CONNECT, Reason.NO_ROUTE)
    assert observed(Inconclusive(ours), refused) is Observed.UNCLEAR


def test_a_scene_holds_only_what_the_check_probes() -> None:
    key = next(keys())
    scene = scene_of(key, RESET, CHECK, AROUND)
    assert scene is not None
    assert set(scene.domains) == {one.label for one in TARGETS[1:]}
    assert set(scene.edges) == {"192.0.2.2:443", "192.0.2.3:443"}
    assert set(scene.providers) == {"cdn-b"}
    assert scene_of(key._replace(edge="203.0.113.9:443"), RESET, CHECK, AROUND) is None
    assert Limits().experiments
