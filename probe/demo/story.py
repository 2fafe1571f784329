"""What happens in the demo, and when: both incidents on an accelerated clock of events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from probe.demo.configuration import BATCH, CLI, NEXT, STORES
from probe.demo.verdict import Incident, Watch
from probe.lab.board import Where
from probe.lab.control import Lab
from probe.lab.info import WorldInfo
from probe.lab.places import API
from probe.lab.world import MULTI_CDN, cdn_host

REGION = "sa-east"
TLS_FAULT = "alert_unrecognized_name"
API_FAULT = "authorization_500"
TLS_SHARE = 0.4
API_SHARE = 0.6
VICTIM_SHARE = 0.03
BATCHES = 5
MOVING_SHARE = 1 / 3
FAULTY_BATCH = 1  # the second: the first one goes well, as it does


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the story waits; all in seconds.

    Attributes:
        between_batches: from one move to the next.
        detection: most that it waits for an incident to be named.
        whole: most that it waits after that for everything affected to be named.
        hold: how long a named incident stays at least, for people to look at.
    """

    between_batches: float = 2.0
    detection: float = 120.0
    whole: float = 120.0
    hold: float = 12.0


def pace_for(seconds: float | None) -> Pace:
    """The pace of a demo that ends after so many seconds, or never."""
    if seconds is None:
        return Pace()
    return Pace(
        between_batches=min(2.0, seconds / 60),
        detection=min(60.0, max(20.0, seconds / 3)),
        whole=min(60.0, seconds / 4),
        hold=min(12.0, seconds / 12),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """Who moves when, and whose certificates do not arrive.

    Attributes:
        batches: stores that move to several CDNs together.
        victims: 3 % of all stores, spread over the batches from the faulty one on.
        edges: names of the places that lack their certificates.
    """

    batches: tuple[tuple[str, ...], ...]
    victims: frozenset[str]
    edges: frozenset[str]

    @property
    def moving(self) -> tuple[str, ...]:
        """Every store that moves."""
        return tuple(name for batch in self.batches for name in batch)


def plan_for(info: WorldInfo) -> Plan:
    """The plan for a lab's stores and edges."""
    stores = info.layout.domains
    moving = stores[: max(BATCHES, round(len(stores) * MOVING_SHARE))]
    size = -(-len(moving) // BATCHES)
    batches = tuple(moving[at : at + size] for at in range(0, len(moving), size))
    exposed = [name for batch in batches[FAULTY_BATCH:] for name in batch]
    count = max(1, round(len(stores) * VICTIM_SHARE))
    victims = frozenset(exposed[:: max(1, len(exposed) // count)][:count])
    seen = info.seen(REGION, NEXT)
    return Plan(batches, victims, frozenset(place.name for place in seen[: len(seen) // 2]))


def incidents(info: WorldInfo, plan: Plan) -> tuple[Incident, Incident]:
    """Both incidents, as they should be named."""
    propagation = Incident(
        name="tls-propagation",
        checks=frozenset({STORES, BATCH}),
        regions=frozenset({REGION}),
        provider=NEXT,
        edges=frozenset(info.place(name).label for name in plan.edges),
        targets=plan.victims,
        layer="edge",
        reasons=frozenset({TLS_FAULT}),
    )
    authorization = Incident(
        name="cli-authorization",
        checks=frozenset({CLI}),
        regions=frozenset(info.layout.regions),
        provider=API,
        edges=frozenset(),
        targets=frozenset({CLI}),
        layer="authorization",
        reasons=frozenset({"status"}),
    )
    return propagation, authorization


@dataclass(slots=True)
class Story:
    """Tells the story to the lab.

    Attributes:
        named: waits until an incident has been named by an agent.
        whole: waits until agents have named every edge and target that it affects.
        say: takes a line for people.
        wall: wall time, seconds since the epoch.
    """

    lab: Lab
    plan: Plan
    pace: Pace
    watches: tuple[Watch, Watch]
    named: Callable[[Watch], Awaitable[None]]
    whole: Callable[[Watch], Awaitable[None]]
    say: Callable[[str], None]
    wall: Callable[[], float]

    async def tell(self) -> None:
        """Both incidents, one after the other."""
        await self._propagation(self.watches[0])
        await self._authorization(self.watches[1])

    async def _propagation(self, watch: Watch) -> None:
        number = None
        for index, batch in enumerate(self.plan.batches):
            await self.lab.move(batch, MULTI_CDN)
            self.say(f"batch {index + 1} of {len(self.plan.batches)}: {len(batch)} stores moved")
            if index == FAULTY_BATCH:
                where = Where(domains=self.plan.victims, edges=self.plan.edges)
                number = await self.lab.inject(TLS_FAULT, where, probability=TLS_SHARE)
                watch.fault_at = self.wall()
                self.say(
                    f"FAULT: {len(self.plan.victims)} stores lack their certificate on "
                    f"{', '.join(sorted(self.plan.edges))}, in 4 handshakes of 10"
                )
            await trio.sleep(self.pace.between_batches)
        await self._until_seen(watch)
        assert number is not None  # noqa: S101 - there are more batches than the faulty one's number
        await self.lab.move(self.plan.victims, cdn_host("cdn-a"))
        await self.lab.remove(number)
        watch.repaired_at = self.wall()
        self.say(f"REPAIR: the stores moved away from {NEXT}; their certificates were sent again")

    async def _authorization(self, watch: Watch) -> None:
        number = await self.lab.inject(API_FAULT, probability=API_SHARE)
        watch.fault_at = self.wall()
        self.say("FAULT: authorization misconfigured, 6 of 10 authorized calls answer 500")
        await self._until_seen(watch)
        await self.lab.remove(number)
        watch.repaired_at = self.wall()
        self.say("REPAIR: the configuration of the authorization was rolled back")

    async def _until_seen(self, watch: Watch) -> None:
        """Wait until agents have named all of it and people had a look, or patience ends."""
        with trio.move_on_after(self.pace.detection) as patience:
            await self.named(watch)
        if patience.cancelled_caught:
            return
        looked_at = trio.current_time() + self.pace.hold
        with trio.move_on_after(self.pace.whole):
            await self.whole(watch)
        await trio.sleep_until(looked_at)
