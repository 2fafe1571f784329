"""Records beside addresses, as an agent follows them: looked up, lost, off again, never stale."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from probe.edges import RecordFinder
from probe.model.records import (
    CaaRecord,
    CaaSet,
    HttpsRecord,
    HttpsSet,
    NameRecords,
    NotLookedAt,
    RecordType,
)
from probe.model.result import CertificateFacts, Handshake, TlsResult
from probe.model.spec import Provider, TlsCheck
from probe.model.target import AddressRules, Edge, EdgeKey, Resolution, Target
from probe.model.tls import ClientProfile
from probe.serve.page.html import target_page
from probe.serve.page.target_view import target_view
from tests.support.reading import series, value

from .test_silence import Edges, World

SHOP = "shop-0.example"
LEAF = CertificateFacts(
    "ab" * 32, "cd" * 32, "", "O=Example Trust", "1", 0.0, 9e9, (SHOP,), (), "ec-p256", "ecdsa"
)
SHOWN = Handshake("TLS 1.3", "TLS_AES_128_GCM_SHA256", (LEAF,), alpn="http/1.1")
BOTH: tuple[RecordType, ...] = ("HTTPS", "CAA")
FORBIDDING = CaaSet("example", (CaaRecord(False, "issue", "other.example"),))
WRONG = NameRecords(
    HttpsSet(SHOP, (HttpsRecord(1, SHOP, ("h2",), hints=("192.0.2.9",)),)), FORBIDDING, FORBIDDING
)
LOST = NotLookedAt("nobody answered")
ISSUERS = {"Example Trust": ("ca.example",)}


@dataclass
class Shown(Edges):
    """Edges that complete handshakes, found as long as DNS is not ``deaf``."""

    deaf: bool = False

    async def find(
        self, provider: Provider, target: Target, port: int, rules: AddressRules
    ) -> Resolution:
        if self.deaf:
            await trio.sleep_forever()
        return await super().find(provider, target, port, rules)

    async def probe(
        self, key: EdgeKey, edge: Edge, target: Target, check: TlsCheck, profile: ClientProfile
    ) -> TlsResult:
        return replace(await super().probe(key, edge, target, check, profile), handshake=SHOWN)


@dataclass
class Records:
    """What a look-up gives at the moment, and how it was asked."""

    found: NameRecords = WRONG
    hangs: bool = False
    raises: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def look(self, wanted: object, options: object, **names: Any) -> NameRecords:
        self.asked.append({"wanted": wanted, **names})
        if self.hangs:
            await trio.sleep_forever()
        if self.raises:
            raise IndexError("list index out of range")
        return self.found


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Records:
    made = Records()
    monkeypatch.setattr(RecordFinder, "look", lambda _, *args, **more: made.look(*args, **more))
    return made


def asking(edges: Shown | None = None) -> World:
    """An agent whose check asks for records."""
    world = World(edges or Shown(), interval=10.0)
    world.reload(records=BOTH, caa_issuers=ISSUERS)
    return world


def findings(world: World) -> set[str]:
    found = series(world.store, "probe_edge_warning")
    found += series(world.store, "probe_resolve_warning")
    return {one.labels["reason"] for one in found if one.value}


ALL = {"alpn_not_served", "caa_forbids_issuer", "hint_not_an_edge"}


async def test_nothing_is_looked_up_that_nobody_asks_for(
    autojump_clock: MockClock, records: Records
) -> None:
    world = World(Shown(), interval=10.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.run)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert not records.asked
    assert not series(world.store, "probe_resolve_records_seen")
    assert findings(world) == set()


async def test_what_differs_is_found_and_fails_nothing(
    autojump_clock: MockClock, records: Records
) -> None:
    world = asking()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.run)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert findings(world) == ALL
    assert value(world.store, "probe_success") == 1.0
    for record in BOTH:
        assert value(world.store, "probe_resolve_records_seen", record=record) == 1.0
    assert records.asked[0] == {"wanted": BOTH, "name": SHOP, "reached": SHOP, "port": 443}
    view = target_view(world.store, SHOP, world.wall())
    assert view is not None
    page = target_page(view)
    for said in ("CAA of example allows other.example", "hints at 192.0.2.9", "promises h2"):
        assert said in page


async def test_a_lookup_that_fails_finds_nothing_and_says_so(
    autojump_clock: MockClock, records: Records
) -> None:
    world = asking()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.run)
        await trio.sleep(100)
        records.found = NameRecords(LOST, LOST, LOST)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert findings(world) == set()
    assert value(world.store, "probe_resolve_records_seen", record="CAA") == 0.0
    assert value(world.store, "probe_resolve_success") == 1.0, "addresses are their own signal"
    view = target_view(world.store, SHOP, world.wall())
    assert view is not None
    assert "CAA records not looked at: nobody answered" in target_page(view)


@pytest.mark.parametrize("how", ["hangs", "raises"])
async def test_a_defect_of_the_lookup_costs_neither_addresses_nor_edges(
    autojump_clock: MockClock, records: Records, how: str
) -> None:
    """Whatever fails in us, addresses and edges are followed as before."""
    world = asking()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.run)
        await trio.sleep(100)
        setattr(records, how, True)
        await trio.sleep(100)
        assert findings(world) == set()
        assert value(world.store, "probe_resolve_records_seen", record="HTTPS") == 0.0
        assert value(world.store, "probe_success") == 1.0
        assert value(world.store, "probe_resolve_success") == 1.0
        nursery.cancel_scope.cancel()


async def test_old_records_judge_no_edge(autojump_clock: MockClock, records: Records) -> None:
    """No look at DNS ends any more, and edges are probed on."""
    edges = Shown()
    world = asking(edges)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.run)
        await trio.sleep(100)
        edges.deaf = True
        await trio.sleep(1000)
        list(world.store.sweep())
        assert findings(world) == set()
        assert not series(world.store, "probe_resolve_records_seen")
        assert value(world.store, "probe_edge_up", edge="192.0.2.1:443") == 1.0
        nursery.cancel_scope.cancel()


async def test_a_reload_begins_and_ends_it(autojump_clock: MockClock, records: Records) -> None:
    world = World(Shown(), interval=10.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.run)
        await trio.sleep(100)
        world.reload(records=BOTH, caa_issuers=ISSUERS)
        await trio.sleep(30)
        assert findings(world) == ALL
        world.reload(records=BOTH, caa_issuers={"Example Trust": ("other.example",)})
        await trio.sleep(30)
        assert findings(world) == ALL - {"caa_forbids_issuer"}
        world.reload()
        await trio.sleep(30)
        assert findings(world) == set()
        assert not series(world.store, "probe_resolve_records_seen")
        nursery.cancel_scope.cancel()
