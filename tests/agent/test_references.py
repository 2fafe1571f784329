"""When references are looked at, and that the vantage learns what was seen; in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import trio
from trio.testing import MockClock

from probe.agent.filing import Excuse
from probe.agent.parts import Parts
from probe.agent.references import ReferenceWatch
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.spec import DnsOptions, References
from probe.model.target import Resolution
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


async def watched(world: World, seconds: float, *hurries: float) -> Vantage:
    """A vantage after so long, with failures of targets at some moments."""
    vantage = Vantage()
    watch = ReferenceWatch(cast("Parts", world), vantage)
    watch.configure(References(URLS, interval=5.0))
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
    assert (complaint.sign, complaint.why) == (Sign.CLOCK, "clock differs by +40 s")


async def test_names_that_are_not_answered_are_the_sign_of_dns(
    autojump_clock: MockClock,
) -> None:
    vantage = await watched(World(unresolved=True), 1.0)
    (complaint,) = vantage.judge(trio.current_time()).complaints
    assert complaint.sign is Sign.DNS


async def test_what_is_no_reference_any_more_is_not_judged(autojump_clock: MockClock) -> None:
    vantage = Vantage()
    watch = ReferenceWatch(cast("Parts", World(lambda _: Look(Failed(TIMEOUT)))), vantage)
    watch.configure(References(URLS, interval=5.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(SECONDS / 2)  # looks are under way
        watch.configure(References())
        await trio.sleep(20.0)
        nursery.cancel_scope.cancel()
    assert vantage.judge(trio.current_time()).complaints == ()
