"""The lab as a whole: a certificate authority, two CDNs, resolvers per region, a platform.

``async with open_world(...) as world`` starts it in the caller's own loop. The same abilities in
a process of its own come from ``probe.lab.process``.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import trio

from probe.lab.board import Board, Where
from probe.lab.ca import Pki
from probe.lab.edge import EdgeServer
from probe.lab.faults.table import FAULTS
from probe.lab.front import Front, Site
from probe.lab.gate import Gate
from probe.lab.info import Broken, Layout, Part, Strikes, WorldInfo, broken_by
from probe.lab.oauth import AuthHost
from probe.lab.places import API, CDNS, CLIENT_SUBNETS, Place, choose_places
from probe.lab.platform import Platform
from probe.lab.resolvers import Resolver
from probe.lab.revocation import ListServer
from probe.lab.shelf import Shelf
from probe.lab.store import Store
from probe.lab.tokens import Mint
from probe.lab.zone import Zone

MULTI_CDN = "stores.multi-cdn.example"


def cdn_host(cdn: str) -> str:
    """The name by which stores reach a CDN: what their DNS points to."""
    return f"stores.{cdn}.example"


@dataclass(slots=True)
class World:
    """A running lab."""

    info: WorldInfo
    pki: Pki
    board: Board
    zone: Zone
    edges: dict[str, EdgeServer]
    resolvers: dict[str, Resolver]
    front: Front
    auth: AuthHost
    _nursery: trio.Nursery = field(repr=False)

    async def inject(
        self, fault: str, where: Where | None = None, *, probability: float = 1.0
    ) -> int:
        """Switch a fault of the table on; returns the number to remove it by.

        Raises:
            KeyError: no fault is called that.
            ValueError: the probability is none.
        """
        rule = self.board.add(fault, FAULTS[fault], where or Where(), probability)
        await self.follow()
        return rule.number

    async def remove(self, number: int) -> None:
        """Switch one fault off."""
        self.board.remove(number)
        await self.follow()

    async def clear(self) -> None:
        """Switch every fault off."""
        self.board.clear()
        await self.follow()

    async def move(self, domains: Iterable[str], canonical: str) -> None:
        """Point the DNS of these domains elsewhere: ``cdn_host(…)`` or ``MULTI_CDN``."""
        self.zone.point(domains, canonical)

    async def truth(self) -> tuple[Broken, ...]:
        """What is broken now: every (domain, edge) that a fault covers."""
        return broken_by(self.board.rules(), self.info)

    async def struck(self) -> tuple[Strikes, ...]:
        """How often each fault struck, those that are off by now included."""
        return tuple(Strikes(*where, times) for where, times in self.board.struck.items())

    async def follow(self) -> None:
        """Let every edge listen or fall silent as its faults now say."""
        for edge in self.edges.values():
            await edge.follow(self._nursery)


@dataclass(frozen=True, slots=True)
class Share:
    """What one process of a lab serves, when several share it.

    Attributes:
        part: ``edges`` of the CDNs, or the ``platform`` with its DNS servers.
        places: all of them, so that every process knows the others'.
        distinct: as in ``WorldInfo``.
    """

    part: Part
    places: tuple[Place, ...]
    distinct: bool

    def serves(self, place: Place) -> bool:
        """Whether a place is this process's."""
        return (place.provider == API) == (self.part == "platform")


@asynccontextmanager
async def open_world(
    folder: Path, layout: Layout | None = None, *, share: Share | None = None
) -> AsyncIterator[World]:
    """Start a lab, or a share of one; it ends with the block.

    Args:
        folder: where the trusted root is written.
        layout: how large; the default has the 300 domains of the incident's replay.
        share: None serves everything.
    """
    layout = layout or Layout()
    pki = Pki(datetime.now(UTC))
    roots = folder / (f"roots-{share.part}.pem" if share else "roots.pem")
    await trio.Path(roots).write_bytes(pki.roots_pem())
    board = Board(layout.seed)
    if share is None:
        places, distinct = choose_places(layout.regions, layout.network)
    else:
        places, distinct = share.places, share.distinct
    zone = make_zone(layout, places)
    address = f"{layout.network}.0.0.1"
    async with trio.open_nursery() as nursery:
        resolvers: dict[str, Resolver] = {}
        if share is None or share.part == "platform":
            for region in layout.regions:
                resolvers[region] = Resolver(region, zone, board)
                await nursery.start(resolvers[region].run, address)
        ports = {region: (address, one.port) for region, one in resolvers.items()}
        info = WorldInfo(layout, places, ports, str(roots), distinct)
        ours = tuple(place for place in places if share is None or share.serves(place))
        if share is None or share.part == "edges":
            await nursery.start(ListServer(pki).run, address)
        world = _assemble(info, ours, pki, board, zone, resolvers, nursery)
        await world.follow()
        yield world
        nursery.cancel_scope.cancel()


def _assemble(
    info: WorldInfo,
    ours: tuple[Place, ...],
    pki: Pki,
    board: Board,
    zone: Zone,
    resolvers: dict[str, Resolver],
    nursery: trio.Nursery,
) -> World:
    gate, hosts = Gate(board), info.layout.hosts
    mint = Mint(b"known to the lab alone")
    auth = AuthHost(gate, mint, time.time)
    platform = Platform(hosts, gate, mint, time.time)
    sites: dict[str, Site] = dict.fromkeys(hosts.names(), platform)
    sites[hosts.auth] = auth
    front = Front(gate, sites, Store(gate), time.time)
    shelf = Shelf(pki, with_rsa=info.layout.with_rsa)
    stores, api = frozenset(info.layout.domains), frozenset(hosts.names())
    edges = {
        place.name: EdgeServer(
            place, board, shelf, api if place.provider == API else stores, front.serve
        )
        for place in ours
    }
    return World(info, pki, board, zone, edges, resolvers, front, auth, nursery)


def make_zone(layout: Layout, places: tuple[Place, ...]) -> Zone:
    """DNS of a lab whose stores are all on the first CDN."""

    def seen(region: str, *providers: str) -> tuple[str, ...]:
        found = [p.ip for p in places if p.provider in providers and p.region in (region, "")]
        return tuple(dict.fromkeys(found))

    hosts = {
        cdn_host(cdn): {region: seen(region, cdn) for region in layout.regions} for cdn in CDNS
    }
    hosts[MULTI_CDN] = {region: seen(region, *CDNS) for region in layout.regions}
    hosts |= {name: {"": seen("", API)} for name in layout.hosts.names()}
    aliases = dict.fromkeys(layout.domains, cdn_host(CDNS[0]))
    return Zone(hosts, aliases, CLIENT_SUBNETS, layout.ttl)
