"""When references are looked at, and that the vantage learns what was seen; in virtual time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import cast

import trio
from trio.testing import MockClock

from probe.agent.filing import Excuse
from probe.agent.parts import Parts
from probe.agent.references import ReferenceWatch
from probe.http.messages import Answered, Broken, CallFacts, Response
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Passed, Timings
from probe.model.spec import (
    DnsOptions,
    Listen,
    NameServer,
    Provider,
    References,
    Spec,
    TlsCheck,
)
from probe.model.target import Edge, FlowKey, Resolution
from probe.model.tls import Trust
from probe.probers.reference import Look
from probe.state.vantage import Sign, Vantage

URLS = tuple(f"https://{name}.example/" for name in ("one", "two", "three"))
TIMEOUT = Failure(Phase.CONNECT, Reason.TIMEOUT)
SERVFAIL = Failure(Phase.RESOLVE, Reason.SERVFAIL)
SECONDS = 0.5


@dataclass
class World:
    """Stands for prober and finder: what they see is a function of the URL."""

    seen: Callable[[str], Look] = lambda _: Look(Passed(), 0.0)
    unresolved: bool = False
    looks: list[tuple[float, str]] = field(default_factory=list)

    @property
    def references(self) -> World:
        return self

    @property
    def finder(self) -> World:
        return self

    async def look(
        self, url: str, *, resolve: Callable[[str, int], object], trust: Trust, timeout: float
    ) -> Look:
        self.looks.append((trio.current_time(), url))
        await resolve(url.split("/")[2], 443)  # type: ignore[misc]  # an awaitable in truth
        await trio.sleep(SECONDS)
        return self.seen(url)

    async def resolve(self, host: str, port: int, options: DnsOptions) -> Resolution:
        return Resolution((), SERVFAIL if self.unresolved else None, seconds=0.01)


def spec(references: References) -> Spec:
    """A configuration with nothing but references."""
    return Spec("sa-east", Listen(), {}, {}, (), references=references)


async def watched(world: World, seconds: float, *hurries: float) -> Vantage:
    """A vantage after so long, with failures of targets at some moments."""
    vantage = Vantage()
    watch = ReferenceWatch(cast("Parts", world), vantage)
    watch.configure(spec(References(URLS, interval=5.0)))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        for moment in hurries:
            await trio.sleep_until(began + moment)
            outcome = Excuse(vantage, watch.hurry)(Failed(TIMEOUT), moment)
            assert isinstance(outcome, Failed)
        await trio.sleep_until(began + seconds)
        nursery.cancel_scope.cancel()
    return vantage


def times(world: World) -> list[float]:
    """When each round began, from the first on."""
    first = world.looks[0][0]
    return sorted({round(at - first, 3) for at, _ in world.looks})


async def test_every_reference_is_looked_at_every_few_seconds(
    autojump_clock: MockClock,
) -> None:
    world = World()
    vantage = await watched(world, 12.0)
    assert times(world) == [0.0, 5.0, 10.0]
    assert {url for _, url in world.looks} == set(URLS)
    assert vantage.judge(trio.current_time()).complaints == ()


async def test_a_failure_has_them_looked_at_at_once_and_a_hundred_have_not_more(
    autojump_clock: MockClock,
) -> None:
    world = World()
    await watched(world, 6.5, 2.0, *(2.1 + n / 1000 for n in range(100)))
    assert times(world) == [0.0, 2.0, 3.0]  # at once, and once more for what came meanwhile


async def test_silent_references_are_the_networks_fault_and_then_a_failure_is_ours(
    autojump_clock: MockClock,
) -> None:
    world = World(lambda url: Look(Failed(TIMEOUT) if url != URLS[0] else Passed()))
    vantage = await watched(world, 1.0)
    (complaint,) = vantage.judge(trio.current_time()).complaints
    assert complaint.sign is Sign.NETWORK
    assert isinstance(Excuse(vantage)(Failed(TIMEOUT), trio.current_time() - 1), Inconclusive)


async def test_their_date_is_the_clocks_sign(autojump_clock: MockClock) -> None:
    vantage = await watched(World(lambda _: Look(Passed(), 40.0)), 1.0)
    (complaint,) = vantage.judge(trio.current_time()).complaints
    assert (complaint.sign, complaint.why) == (
        Sign.CLOCK,
        "clock differs by +40 s, by the Date of 3 hosts",
    )


async def test_names_that_are_not_answered_are_the_sign_of_dns(
    autojump_clock: MockClock,
) -> None:
    vantage = await watched(World(unresolved=True), 1.0)
    (complaint,) = vantage.judge(trio.current_time()).complaints
    assert complaint.sign is Sign.DNS


async def test_what_is_no_reference_any_more_is_not_judged(autojump_clock: MockClock) -> None:
    vantage = Vantage()
    watch = ReferenceWatch(cast("Parts", World(lambda _: Look(Failed(TIMEOUT)))), vantage)
    watch.configure(spec(References(URLS, interval=5.0)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(SECONDS / 2)  # looks are under way
        watch.configure(spec(References(())))
        await trio.sleep(20.0)
        nursery.cancel_scope.cancel()
    assert vantage.judge(trio.current_time()).complaints == ()


# ---------------------------------------------------------------- what is probed anyway

A, B = Edge("192.0.2.1", 443), Edge("198.51.100.1", 443)
FLOW = FlowKey("cli", "cli", "", "")


@dataclass
class Own(World):
    """The same for a configuration without references."""

    down: set[str] = field(default_factory=set)
    servers: tuple[NameServer, ...] = (NameServer("203.0.113.53"),)
    date: Look = field(default_factory=lambda: Look(Passed()))
    asked: list[str] = field(default_factory=list)

    async def reach(self, edge: Edge, timeout: float) -> Failure | None:
        self.looks.append((trio.current_time(), edge.ip))
        return TIMEOUT if edge.ip in self.down else None

    def resolvers(self) -> tuple[NameServer, ...]:
        return self.servers

    async def answers(self, server: NameServer, timeout: float) -> Failure | None:
        self.looks.append((trio.current_time(), server.ip))
        return TIMEOUT if server.ip in self.down else None

    async def look(
        self, url: str, *, resolve: Callable[[str, int], object], trust: Trust, timeout: float
    ) -> Look:
        self.asked.append(url)
        return self.date


@asynccontextmanager
async def own(
    world: Own, edges: dict[str, list[Edge]]
) -> AsyncIterator[tuple[Vantage, ReferenceWatch]]:
    """An agent whose configuration has a TLS check through DNS, a flow, and no references."""
    vantage = Vantage()
    watch = ReferenceWatch(cast("Parts", world), vantage, edges=lambda _: edges)
    check = TlsCheck("stores", "stores", tuple(edges) or ("live",))
    step = Step("whoami", "api", RequestTemplate("GET", "https://api.example/me"))
    flow = ApiCheck("cli", (step,))
    providers = {name: Provider(name) for name in edges or ("live",)}
    watch.configure(Spec("sa-east", Listen(), providers, {}, (check, flow)))
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        await trio.sleep(0.1)
        yield vantage, watch
        nursery.cancel_scope.cancel()


def signs(vantage: Vantage) -> set[Sign]:
    return {one.sign for one in vantage.judge(trio.current_time()).complaints}


async def test_providers_and_resolvers_stand_for_references(autojump_clock: MockClock) -> None:
    world = Own()
    async with own(world, {"a": [A], "b": [B]}) as (vantage, watch):
        assert {ip for _, ip in world.looks} == {A.ip, B.ip, "203.0.113.53"}
        world.down = {A.ip}
        watch.hurry(TIMEOUT)
        await trio.sleep(2.0)
        assert signs(vantage) == set()  # its outage, not ours
        world.down = {A.ip, B.ip, "203.0.113.53"}
        watch.hurry(TIMEOUT)
        await trio.sleep(2.0)
        assert signs(vantage) == {Sign.NETWORK}
        await trio.sleep(20.0)
        assert not vantage.judge(trio.current_time()).healthy
        world.down = set()
        await trio.sleep(30.0)  # it looks again by itself
        assert vantage.judge(trio.current_time()).healthy


async def test_while_all_is_well_once_a_minute_is_enough(autojump_clock: MockClock) -> None:
    world = Own()
    async with own(world, {"a": [A]}) as (_, watch):
        watch.hurry(Failure(Phase.EXPECT, Reason.STATUS))
        await trio.sleep(125.0)
    assert times(world) == [0.0, 60.0, 120.0]


async def test_resolvers_of_this_host_itself_say_nothing_of_the_network(
    autojump_clock: MockClock,
) -> None:
    world = Own(servers=(NameServer("127.0.0.53"),), down={A.ip, B.ip})
    async with own(world, {"a": [A], "b": [B]}) as (vantage, _):
        assert signs(vantage) == {Sign.NETWORK}
        world.down = {"127.0.0.53"}
        await trio.sleep(6.0)
        assert Sign.DNS in signs(vantage)


async def test_a_single_provider_that_is_silent_is_blamed_and_the_vantage_says_so(
    autojump_clock: MockClock,
) -> None:
    world = Own(servers=(NameServer("127.0.0.53"),), down={A.ip})
    async with own(world, {"a": [A]}) as (vantage, _):
        health = vantage.judge(trio.current_time())
        assert not health.complaints
        assert health.unjudged[Sign.NETWORK].endswith(", only provider a")
        assert isinstance(Excuse(vantage)(Failed(TIMEOUT), 0.0), Failed)


async def test_a_reload_during_an_outage_does_not_make_it_ours(autojump_clock: MockClock) -> None:
    """One provider was never set up; the other falls minutes later, and somebody reloads."""
    world = Own(servers=(), down={A.ip})
    async with own(world, {"a": [A], "b": [B]}) as (vantage, watch):
        await trio.sleep(120.0)
        world.down = {A.ip, B.ip}
        watch.hurry(TIMEOUT)
        await trio.sleep(2.0)
        assert signs(vantage) == set()
        flow = ApiCheck("cli", ())
        watch.configure(Spec("sa-east", Listen(), {"a": Provider("a")}, {}, (flow,)))
        await trio.sleep(2.0)
        assert signs(vantage) == set()
        assert isinstance(Excuse(vantage)(Failed(TIMEOUT), trio.current_time() - 1), Failed)


async def test_of_thousands_of_hosts_a_few_tell_the_time(autojump_clock: MockClock) -> None:
    """Each judgement of the vantage weighs every host that told."""
    async with own(Own(), {"a": [A]}) as (vantage, watch):
        date = formatdate(time.time() + 100, usegmt=True)
        for number in range(1000):
            key = FLOW._replace(target=f"h{number}.example")
            facts = CallFacts(Timings(), fresh=True, edge=B, url=f"https://{key.target}/")
            watch.hosts.heard(key, Trust(), Answered(Response(200, (("date", date),)), facts))
        (complaint,) = vantage.judge(trio.current_time()).complaints
        assert complaint.why.startswith("clock differs by +100 s, by the Date of 16 hosts")


async def test_hosts_of_targets_that_are_gone_are_forgotten(autojump_clock: MockClock) -> None:
    """Nobody contacts them any more, and they leave room for those that came."""
    async with own(Own(), {"a": [A]}) as (_, watch):
        hosts = watch.hosts

        def heard(target: str, host: str) -> None:
            key = FLOW._replace(target=target)
            facts = CallFacts(Timings(), fresh=True, edge=B, url=f"https://{host}/")
            hosts.heard(key, Trust(), Answered(Response(200, ()), facts))

        for number in range(50):
            heard(f"h{number}.example", f"h{number}.example")
        heard("h0.example", "api.example")  # the configuration names it: it stays
        assert len(hosts.known) == 16
        for number in range(50):
            hosts.forget(FLOW._replace(target=f"h{number}.example"))
        assert set(hosts.known) == set()
        heard("h0.example", "api.example")
        heard("new.example", "new.example")
        hosts.forget(FLOW._replace(target="h0.example"))
        assert set(hosts.known) == {"https://api.example:443/", "https://new.example:443/"}


async def test_a_date_is_asked_for_when_certificates_are_out_of_their_time(
    autojump_clock: MockClock,
) -> None:
    world = Own(date=Look(Passed(), -34e6, proof=True))
    expired = Failure(Phase.CERTIFICATE, Reason.EXPIRED)
    async with own(world, {"a": [A]}) as (vantage, watch):
        facts = CallFacts(Timings(), fresh=True, edge=B, url="https://api.example/me")
        elsewhere = replace(facts, url="https://elsewhere.example/")  # where a redirect led
        for one in (facts, elsewhere):
            watch.hosts.heard(FLOW, Trust(), Broken(expired, one))
        watch.hurry(TIMEOUT)
        await trio.sleep(2.0)
        assert world.asked == []
        watch.hurry(expired)
        await trio.sleep(2.0)
        assert world.asked == ["https://api.example:443/"]
        assert signs(vantage) == {Sign.CLOCK}
        await trio.sleep(6.0)
        assert len(world.asked) > 1  # until it is over


async def test_the_date_of_flows_that_pass_is_compared(autojump_clock: MockClock) -> None:
    async with own(Own(), {"a": [A]}) as (vantage, watch):
        date = formatdate(time.time() + 100, usegmt=True)
        for host, age in (("api.example", "0"), ("cli", "40")):
            headers = (("date", date), ("age", age))
            facts = CallFacts(Timings(), fresh=True, edge=B, url=f"https://{host}/")
            watch.hosts.heard(FLOW, Trust(), Answered(Response(401, headers), facts))
        offset = vantage.judge(trio.current_time()).clock_offset
        assert offset is not None
        assert abs(offset - 100) < 5
        assert signs(vantage) == {Sign.CLOCK}
