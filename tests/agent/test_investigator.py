"""The investigator: from a confirmed failure to its cause, over a world that a rule describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
import trio
from trio.testing import MockClock

from probe.agent.experiments import Around, observed, scene_of
from probe.agent.filing import Excuse, Filing
from probe.agent.investigator import Investigator
from probe.agent.log import EventLog
from probe.model.cause import Cause, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed, Timings, TlsResult
from probe.model.spec import Limits, Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.target import Edge, EdgeKey, ProviderKey, Target
from probe.model.tls import ClientProfile
from probe.serve import Store
from probe.serve.census import Through
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
        self.store = Store("lab", started_at=0.0, clock=trio.current_time)
        self.store.configure(SPEC)
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
            lambda _, where: self.crashes.append(where),
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
        through = Through(key.check, key.provider)
        self.said.add(self.store.causes.under_way(through, MISMATCH.phase, MISMATCH.reason))
        await trio.sleep(0.05)
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


def lacks_certificate(key: EdgeKey, _: ClientProfile) -> Failure | None:
    """Two of the domains are unknown to one edge."""
    missing = key.target in ("shop-0.example", "shop-1.example")
    return MISMATCH if missing and key.edge == "192.0.2.1:443" else None


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
    def large(_key: EdgeKey, profile: ClientProfile) -> Failure | None:
        small = profile.groups or profile.max_version or profile.kind != "default"
        padded = any(name.startswith("padding") for name in profile.alpn)
        return RESET if _key.provider == "cdn-a" and (padded or not small) else None

    agent = Agent(large)
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
