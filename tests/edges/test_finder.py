"""The finder against a real DNS server on loopback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.rcode
import pytest

from probe.edges import EdgeFinder
from probe.edges.answers import DnsOutcome
from probe.model.failure import Phase, Reason
from probe.model.spec import DnsOptions, Provider
from probe.model.target import AddressRules, Edge, Resolution, Target
from tests.support.dns_server import Asked, DnsServer, Reply, Responder, dns_server

SHOP = Target("shop.example")


def live(server: DnsServer, timeout: float = 5.0) -> Provider:
    options = DnsOptions(servers=(server.address,), hosts_file=False, timeout=timeout)
    return Provider("live", dns=options)


def ips(found: Resolution) -> list[str]:
    return [edge.ip for edge in found.edges]


async def test_every_address_of_both_families_is_an_edge_in_a_stable_order() -> None:
    def respond(asked: Asked) -> Reply:
        return asked.addresses("192.0.2.20", "192.0.2.3", "2001:db8::1")

    async with dns_server(respond) as server:
        finder = EdgeFinder(route=lambda ip: True)
        found = await finder.find(live(server), SHOP, 443)
    assert [edge.label for edge in found.edges] == [
        "192.0.2.3:443",
        "192.0.2.20:443",
        "[2001:db8::1]:443",
    ]
    assert found.failure is None
    assert found.ttl == pytest.approx(60.0, abs=1)
    assert found.seconds is not None


async def test_a_hostname_provider_asks_for_its_own_name() -> None:
    async with dns_server(lambda asked: asked.addresses("192.0.2.1")) as server:
        provider = Provider("cdn-b", hostname="stores.cdn-b.example", dns=live(server).dns)
        found = await EdgeFinder().find(provider, SHOP, 8443)
    assert found.edges == (Edge("192.0.2.1", 8443),)
    assert {name for _, name in server.questions} == {"stores.cdn-b.example"}


async def test_a_provider_of_one_family_gets_nothing_of_another_that_asks_for_both() -> None:
    async with dns_server(lambda asked: asked.addresses("192.0.2.1", "2001:db8::1")) as server:
        finder = EdgeFinder(route=lambda ip: True)
        both = await finder.find(live(server), SHOP, 443)
        old = Provider("old", dns=replace(live(server).dns, families=(4,)))
        found = await finder.find(old, SHOP, 443)
    assert ips(both) == ["192.0.2.1", "2001:db8::1"]
    assert ips(found) == ["192.0.2.1"]


async def test_fixed_addresses_need_no_dns_and_collapse_when_written_twice() -> None:
    addresses = (("198.51.100.7", None), ("2001:DB8:0::7", 8443), ("2001:db8::7", 8443))
    provider = Provider("cdn-c", addresses=addresses)
    found = await EdgeFinder(route=lambda ip: True).find(provider, SHOP, 443)
    assert [edge.label for edge in found.edges] == ["198.51.100.7:443", "[2001:db8::7]:8443"]
    assert (found.failure, found.seconds, found.ttl) == (None, None, None)


async def test_the_chain_of_canonical_names_is_evidence() -> None:
    def respond(asked: Asked) -> Reply:
        return asked.answer(
            "shop.example 300 CNAME shop.cdn-a.example.",
            "shop.cdn-a.example 20 CNAME edge.cdn-a.example.",
            *(["edge.cdn-a.example 300 A 192.0.2.1"] if asked.kind == "A" else []),
        )

    async with dns_server(respond) as server:
        found = await EdgeFinder().find(live(server), SHOP, 443)
    assert found.edges[0].cnames == ("shop.cdn-a.example", "edge.cdn-a.example")
    assert found.ttl == pytest.approx(20.0, abs=1), "the least TTL of the chain"


RCODES = [
    (dns.rcode.NXDOMAIN, Reason.NXDOMAIN),
    (dns.rcode.NOERROR, Reason.NO_ADDRESSES),
    (dns.rcode.SERVFAIL, Reason.SERVFAIL),
    (dns.rcode.REFUSED, Reason.REFUSED),
    (dns.rcode.FORMERR, Reason.SERVFAIL),
]


@pytest.mark.parametrize(("rcode", "reason"), RCODES)
async def test_each_answer_without_addresses_has_its_reason(
    rcode: dns.rcode.Rcode, reason: Reason
) -> None:
    async with dns_server(lambda asked: asked.nothing(rcode)) as server:
        found = await EdgeFinder().find(live(server), SHOP, 443)
    assert found.edges == ()
    assert found.failure is not None
    assert (found.failure.phase, found.failure.reason) == (Phase.RESOLVE, reason)
    assert "shop.example" in found.failure.detail


async def test_silence_is_a_time_out_and_garbage_is_malformed() -> None:
    def garbage(asked: Asked) -> Reply:
        return asked.answer().to_wire()[:2] + b"\x81\x80\x00\x01\x00\x05" + b"\xff" * 30

    silent: Responder = lambda asked: None  # noqa: E731 - reads best in place
    for respond, timeout, reason in (
        (silent, 0.3, Reason.TIMEOUT),
        (garbage, 5.0, Reason.MALFORMED),
    ):
        async with dns_server(respond) as server:
            found = await EdgeFinder().find(live(server, timeout), SHOP, 443)
        assert found.failure is not None
        assert found.failure.reason is reason


async def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    many = [f"192.0.2.{n}" for n in range(1, 50)]

    def respond(asked: Asked) -> Reply:
        return asked.addresses(*many) if asked.transport == "tcp" else asked.answer(flags=TC)

    async with dns_server(respond) as server:
        found = await EdgeFinder().find(live(server), SHOP, 443)
    assert ips(found) == many


TC = dns.flags.TC


async def test_an_unused_name_is_asked_once_and_then_known() -> None:
    async with dns_server(lambda asked: asked.addresses("192.0.2.1")) as server:
        finder = EdgeFinder()
        first = await finder.find(live(server), SHOP, 443)
        second = await finder.find(live(server), SHOP, 443)
    assert sorted(server.questions) == [("A", "shop.example"), ("AAAA", "shop.example")]
    assert second.edges == first.edges
    assert second.seconds is None


async def test_the_hosts_file_answers_first_where_the_provider_wants_it(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.99  Shop.example shop # pinned\n")
    async with dns_server(lambda asked: asked.addresses("192.0.2.1")) as server:
        finder = EdgeFinder(hosts_file=hosts)
        without = live(server)
        with_file = Provider("live", dns=DnsOptions(servers=(server.address,)))
        assert ips(await finder.find(with_file, SHOP, 443)) == ["192.0.2.99"]
        assert ips(await finder.find(without, SHOP, 443)) == ["192.0.2.1"]


async def test_ipv6_edges_without_a_route_are_left_out_and_counted() -> None:
    respond = lambda asked: asked.addresses("192.0.2.1", "2001:db8::1", "2001:db8::2")  # noqa: E731 - reads best in place
    async with dns_server(respond) as server:
        found = await EdgeFinder(route=lambda ip: False).find(live(server), SHOP, 443)
    assert (ips(found), found.skipped_ipv6, found.failure) == (["192.0.2.1"], 2, None)


async def test_a_name_with_ipv6_only_is_inconclusive_on_a_host_without() -> None:
    async with dns_server(lambda asked: asked.addresses("2001:db8::1")) as server:
        found = await EdgeFinder(route=lambda ip: False).find(live(server), SHOP, 443)
    assert found.edges == ()
    assert found.failure is not None
    assert found.failure.ours


PORTS = [
    # address, target, provider, check -> edge
    (8443, 9443, 7443, 443, 8443),
    (None, 9443, 7443, 443, 9443),
    (None, None, 7443, 443, 7443),
    (None, None, None, 443, 443),
]


@pytest.mark.parametrize(("address", "target", "provider", "check", "edge"), PORTS)
async def test_the_nearest_port_wins(
    address: int | None, target: int | None, provider: int | None, check: int, edge: int
) -> None:
    fixed = Provider("cdn", addresses=(("192.0.2.1", address),), port=provider)
    found = await EdgeFinder().find(fixed, Target("shop.example", target), check)
    assert [one.port for one in found.edges] == [edge]


@pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1"])
async def test_a_target_that_is_an_address_is_its_own_edge(name: str) -> None:
    found = await EdgeFinder(route=lambda ip: True).find(Provider("live"), Target(name), 443)
    assert ips(found) == [name]
    assert (found.failure, found.seconds) == (None, None)


async def test_a_host_of_a_flow_resolves_without_a_provider(tmp_path: Path) -> None:
    resolv_conf, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    hosts.write_text("192.0.2.7 login.example\n")
    finder = EdgeFinder(hosts_file=hosts, resolv_conf=resolv_conf, route=lambda ip: True)
    assert ips(await finder.resolve("Login.Example.", 443)) == ["192.0.2.7"]
    assert ips(await finder.resolve("[2001:db8::1]", 443)) == ["2001:db8::1"]


async def test_the_chain_is_followed_across_answers_and_has_an_end() -> None:
    """An authoritative server may leave the next step to us; a circle is nobody's address."""

    def respond(asked: Asked) -> Reply:
        number = int(asked.name.split(".")[0].removeprefix("hop-"))
        if asked.name.endswith("finite.example") and number == 5:
            return asked.addresses("192.0.2.1")
        following = asked.name.replace(f"hop-{number}", f"hop-{number + 1}")
        return asked.answer(f"{asked.name} 60 CNAME {following}.", flags=dns.flags.AA)

    async with dns_server(respond) as server:
        finder = EdgeFinder()
        found = await finder.find(live(server), Target("hop-0.finite.example"), 443)
        assert ips(found) == ["192.0.2.1"]
        assert len(found.edges[0].cnames) == 5
        found = await finder.find(live(server), Target("hop-0.endless.example"), 443)
        assert found.failure is not None
        assert found.failure.reason is Reason.MALFORMED


async def test_more_addresses_than_anyone_needs_are_cut_and_it_is_said() -> None:
    many = [f"192.0.2.{n}" for n in range(1, 101)]

    def respond(asked: Asked) -> Reply:
        return asked.addresses(*many) if asked.transport == "tcp" else asked.answer(flags=TC)

    async with dns_server(respond) as server:
        found = await EdgeFinder().find(live(server), SHOP, 443)
    assert ips(found) == many[:64]
    assert "36 addresses" in found.notes[0]


async def test_the_system_resolver_that_is_not_running_is_our_trouble(tmp_path: Path) -> None:
    """Nothing listens on port 53 of this loopback address."""
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 127.86.53.1\n")
    finder = EdgeFinder(resolv_conf=resolv_conf, hosts_file=tmp_path / "none")
    found = await finder.resolve("shop.example", 443, DnsOptions(timeout=0.5))
    assert found.failure is not None
    assert found.failure.reason is Reason.VANTAGE_ILL
    assert found.failure.ours


async def test_a_defect_of_ours_is_inconclusive_and_asked_again_soon(tmp_path: Path) -> None:
    async def crashes(*_: object) -> DnsOutcome:
        raise IndexError("what a server said")

    finder = EdgeFinder(ask=crashes, resolv_conf=tmp_path / "resolv.conf")
    provider = Provider("cdn-b", hostname="stores.cdn-b.example")
    for found in (
        await finder.find(provider, SHOP, 443),
        await finder.resolve("shop.example", 443),
        await finder.find(Provider("odd", addresses=((None, 7),)), SHOP, 443),  # type: ignore[arg-type]
    ):
        assert found.edges == ()
        assert found.failure is not None
        assert (found.failure.phase, found.failure.reason) == (Phase.RESOLVE, Reason.DEFECT)
        assert found.failure.ours
        assert "what a server said" not in found.failure.detail
        assert found.ttl == 10.0


async def test_addresses_behind_nat64_are_counted_and_said() -> None:
    """A server that has IPv4 alone must not look like two healthy ones."""
    respond = lambda asked: asked.addresses("198.51.100.7", "64:ff9b::c633:6407", "2001:db8::7")  # noqa: E731 - reads best in place
    async with dns_server(respond) as server:
        found = await EdgeFinder(route=lambda ip: True).find(live(server), SHOP, 443)
    assert len(found.edges) == 3
    assert found.nat64 == 1
    assert found.notes == ("64:ff9b::c633:6407 is 198.51.100.7 through NAT64",)


async def test_own_prefixes_of_nat64_count_too() -> None:
    rules = AddressRules(nat64=("2001:db8:64::/96",))
    fixed = Provider("fixed", addresses=(("2001:db8:64::c633:6407", None), ("2001:db8::7", None)))
    found = await EdgeFinder(route=lambda _: True).find(fixed, SHOP, 443, rules)
    assert (len(found.edges), found.nat64) == (2, 1)
    assert found.notes == ("2001:db8:64::c633:6407 is 198.51.100.7 through NAT64",)
    for name in ("2001:db8:64::c633:6407", "live.example"):
        respond = lambda asked: asked.addresses("2001:db8:64::c633:6407")  # noqa: E731 - reads best in place
        async with dns_server(respond) as server:
            provider, target = live(server), Target(name)
            finder = EdgeFinder(route=lambda _: True)
            assert (await finder.find(provider, target, 443, rules)).nat64 == 1, name
            assert (await finder.find(provider, target, 443)).nat64 == 0, name


@pytest.mark.parametrize(
    ("provider", "target", "written"),
    [
        (Provider("fixed", addresses=(("127.0.0.1", None),)), SHOP, True),
        (Provider("host", hostname="127.0.0.1"), SHOP, True),
        (Provider("live"), Target("127.0.0.1"), False),
        (Provider("live"), Target("127.0.0.1", written=True), True),
        (Provider("host", hostname="localhost"), SHOP, True),
        (Provider("live"), Target("localhost"), False),
        (Provider("live"), Target("localhost", written=True), True),
        (Provider("live"), Target("pinned.example", written=True), False),
    ],
)
async def test_an_edge_knows_whether_the_configuration_writes_its_address(
    tmp_path: Path, provider: Provider, target: Target, written: bool
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost pinned.example\n")
    (edge,) = (await EdgeFinder(hosts_file=hosts).find(provider, target, 443)).edges
    assert (edge.ip, edge.written) == ("127.0.0.1", written)
