"""Edges for clients of several regions, found from one vantage at a real server: Knot DNS.

Its geoip module answers by the client subnet of the question (RFC 7871).
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from probe.edges import EdgeFinder
from probe.model.failure import Reason
from probe.model.spec import DnsOptions, NameServer, Provider
from probe.model.target import Resolution, Target
from tests.support.ports import free_port
from tests.support.programs import program

pytestmark = pytest.mark.real

REGIONS = {"sa-east": "203.0.113.0/24", "us-east": "198.51.100.0/24", "eu-west": "2001:db8:5::/48"}
SHOP = Target("shop.stores.example")
LARGE = 120

ZONE = """
$ORIGIN stores.example.
$TTL 300
@ SOA ns.stores.example. host.stores.example. 1 3600 600 86400 30
@ NS ns.stores.example.
ns A 127.0.0.1
shop A 192.0.2.99
www CNAME shop
plain A 192.0.2.98
text TXT "no address"
gone CNAME nowhere
away CNAME shop.cdn-a.example.
@ CAA 0 issue "letsencrypt.org"
@ CAA 0 issuewild ";"
@ CAA 128 iodef "mailto:security@stores.example"
web A 192.0.2.97
web AAAA 2001:db8::97
web HTTPS 2 spare alpn=h2 no-default-alpn port=8443
web HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.97,192.0.2.66 ipv6hint=2001:db8::97
web CAA 0 issue "ca.example; validationmethods=dns-01"
_8443._https.web HTTPS 1 web alpn=http/1.1
alias HTTPS 0 web
""" + "\n".join(f"large A 192.0.2.{number}" for number in range(1, LARGE + 1))

BY_SUBNET = """
shop.stores.example:
  - net: 203.0.113.0/24
    A: [192.0.2.1, 192.0.2.2]
    AAAA: 2001:db8::1
  - net: 198.51.100.0/24
    A: [192.0.2.2, 192.0.2.3]
  - net: 2001:db8:5::/48
    A: 192.0.2.4
"""

CONFIG = """
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    edns-client-subnet: {client_subnet}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}
log:
  - target: stderr
    any: warning
mod-geoip:
  - id: stores
    config-file: {folder}/by-subnet.conf
    ttl: 60
    mode: subnet
zone:
  - domain: stores.example
    file: {folder}/zone
    module: mod-geoip/stores
    zonefile-sync: -1
    journal-content: none
"""


@asynccontextmanager
async def knot(folder: Path, *, client_subnet: bool = True) -> AsyncIterator[NameServer]:
    """A running server with the zone above."""
    server = NameServer("127.0.0.1", free_port())
    (folder / "zone").write_text(ZONE)
    (folder / "by-subnet.conf").write_text(BY_SUBNET)
    config = folder / "knot.conf"
    switch = "on" if client_subnet else "off"
    config.write_text(CONFIG.format(folder=folder, port=server.port, client_subnet=switch))
    with (folder / "log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [program("knotd"), "--config", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        await until_it_answers(server, process, folder / "log")
        yield server
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def until_it_answers(server: NameServer, process: trio.Process, log: Path) -> None:
    provider = live(server, ttl_floor=0.0, ttl_cap=0.0, timeout=0.2)
    with trio.move_on_after(10):
        while process.poll() is None:
            if (await EdgeFinder().find(provider, Target("ns.stores.example"), 53)).edges:
                return
            await trio.sleep(0.02)
    pytest.fail(
        "knotd did not start; its geoip module needs apt-get install knot-module-geoip\n"
        + log.read_text(errors="replace")
    )


def live(
    server: NameServer,
    subnets: Mapping[str, str] | None = None,
    *,
    ttl_floor: float = 15.0,
    ttl_cap: float = 300.0,
    timeout: float = 5.0,
) -> Provider:
    options = DnsOptions(
        servers=(server,),
        hosts_file=False,
        client_subnets=subnets or {},
        timeout=timeout,
        ttl_floor=ttl_floor,
        ttl_cap=ttl_cap,
    )
    return Provider("live", dns=options)


def finder() -> EdgeFinder:
    return EdgeFinder(route=lambda ip: True)


def seen(found: Resolution) -> dict[str, tuple[str, ...]]:
    return {edge.ip: edge.seen_from for edge in found.edges}


async def test_the_edges_of_all_regions_are_found_from_one_vantage(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        found = await finder().find(live(server, REGIONS), SHOP, 443)
    assert found.failure is None
    assert found.notes == ()
    assert seen(found) == {
        "192.0.2.1": ("sa-east",),
        "192.0.2.2": ("sa-east", "us-east"),
        "192.0.2.3": ("us-east",),
        "192.0.2.4": ("eu-west",),
        "2001:db8::1": ("sa-east",),
    }


async def test_prefixes_within_the_returned_scope_are_asked_for_once(tmp_path: Path) -> None:
    """The server's networks are /24: its answer for a /25 holds for the neighbour too."""
    halves = {"left": "203.0.113.0/25", "right": "203.0.113.128/25"}
    async with knot(tmp_path) as server:
        edges = finder()
        found = await edges.find(live(server, halves), SHOP, 443)
    assert seen(found)["192.0.2.1"] == ("left", "right")
    assert sum(edges.stats().questions.values()) == 2, "one for A, one for AAAA"


async def test_a_name_without_geography_is_asked_for_once(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        edges = finder()
        subnets = {"sa-east": "203.0.113.0/24", "us-east": "198.51.100.0/24"}
        found = await edges.find(live(server, subnets), Target("plain.stores.example"), 443)
    assert seen(found) == {"192.0.2.98": ("sa-east", "us-east")}
    assert edges.stats().questions == {"addresses": 1, Reason.NO_ADDRESSES: 1}


async def test_a_server_with_the_option_switched_off_is_noticed(tmp_path: Path) -> None:
    async with knot(tmp_path, client_subnet=False) as server:
        edges = finder()
        found = await edges.find(live(server, REGIONS), SHOP, 443)
    assert seen(found) == {"192.0.2.99": ()}
    assert "ignores the client subnet" in found.notes[0]
    assert sum(edges.stats().subnet_ignored.values()) == 2


async def test_failures_of_a_real_server_have_their_reasons(tmp_path: Path) -> None:
    expected = {
        "nowhere.stores.example": Reason.NXDOMAIN,
        "gone.stores.example": Reason.NXDOMAIN,
        "text.stores.example": Reason.NO_ADDRESSES,
        "shop.other.example": Reason.REFUSED,
        "away.stores.example": Reason.REFUSED,  # leads to a zone that this server does not hold
    }
    async with knot(tmp_path) as server:
        found = {name: await finder().find(live(server), Target(name), 443) for name in expected}
    reasons = {name: one.failure and one.failure.reason for name, one in found.items()}
    assert reasons == expected


async def test_an_answer_too_large_for_udp_comes_whole_over_tcp(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        found = await finder().find(live(server), Target("large.stores.example"), 443)
    assert len(found.edges) == 64, "the most that are kept"
    assert f"{LARGE - 64} addresses" in found.notes[0]


async def test_a_chain_of_names_is_followed(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        found = await finder().find(live(server), Target("www.stores.example"), 443)
    assert [(edge.ip, edge.cnames) for edge in found.edges] == [
        ("192.0.2.99", ("shop.stores.example",))
    ]
