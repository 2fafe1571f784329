"""Edges for clients elsewhere (RFC 7871), and edges over time: in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio
import trio.testing

from probe.edges import EdgeFinder
from probe.edges.answers import DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import DnsOptions, NameServer, Provider
from probe.model.target import Resolution, Target

SHOP = Target("shop.example")
REGIONS = {"sa-east": "203.0.113.0/24", "us-east": "198.51.100.0/24", "eu-west": "192.0.2.0/24"}
OPTIONS = DnsOptions(
    servers=(NameServer("192.0.2.53"),), client_subnets=REGIONS, families=(4,), timeout=5.0
)
LIVE = Provider("live", dns=OPTIONS)

Answering = Callable[[DnsQuestion], DnsOutcome]


def region_of(question: DnsQuestion) -> str:
    assert question.subnet is not None
    first = question.subnet.network_address.packed[0]
    return {203: "sa-east", 198: "us-east", 192: "eu-west"}[first]


def named(*ips: str, ttl: float = 60.0, scope: int | None = 24) -> DnsAnswer:
    return DnsAnswer(ips, False, (), ttl, scope, "192.0.2.53:53", seconds=0.1)


def failed(reason: Reason) -> NoAnswer:
    return NoAnswer(Failure(Phase.RESOLVE, reason, reason), alive=reason is Reason.SERVFAIL)


@dataclass
class Dns:
    """Answers as told, and remembers for whom it was asked."""

    answer: Answering
    asked: list[DnsQuestion] = field(default_factory=list)

    async def ask(
        self, servers: Sequence[NameServer], question: DnsQuestion, timeout: float
    ) -> DnsOutcome:
        self.asked.append(question)
        outcome = self.answer(question)
        silent = isinstance(outcome, NoAnswer) and not outcome.alive
        await trio.sleep(timeout if silent else 0.1)
        return outcome


def by_region(question: DnsQuestion) -> DnsOutcome:
    return named(
        {"sa-east": "192.0.2.1", "us-east": "192.0.2.2", "eu-west": "192.0.2.3"}[
            region_of(question)
        ]
    )


def seen(found: Resolution) -> dict[str, tuple[str, ...]]:
    return {edge.ip: edge.seen_from for edge in found.edges}


async def test_every_region_is_asked_for_once_and_edges_say_who_sees_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dns = Dns(by_region)
    finder = EdgeFinder(ask=dns.ask)
    for _ in range(3):
        found = await finder.find(LIVE, SHOP, 443)
    assert seen(found) == {
        "192.0.2.1": ("sa-east",),
        "192.0.2.2": ("us-east",),
        "192.0.2.3": ("eu-west",),
    }
    assert [region_of(question) for question in dns.asked] == list(REGIONS)
    assert found.notes == ()


@pytest.mark.parametrize("scope", [0, 4])
async def test_an_answer_that_holds_for_every_region_is_asked_for_once(
    autojump_clock: trio.testing.MockClock, scope: int
) -> None:
    """192, 198 and 203 share their first four bits."""
    dns = Dns(lambda question: named("192.0.2.1", scope=scope))
    found = await EdgeFinder(ask=dns.ask).find(LIVE, SHOP, 443)
    assert len(dns.asked) == 1
    assert seen(found) == {"192.0.2.1": ("eu-west", "sa-east", "us-east")}


async def test_a_server_that_ignores_the_option_is_noticed_and_speaks_for_no_region(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dns = Dns(lambda question: named("192.0.2.1", scope=None))
    finder = EdgeFinder(ask=dns.ask)
    found = await finder.find(LIVE, SHOP, 443)
    assert len(dns.asked) == 1, "the answer would be the same for every region"
    assert seen(found) == {"192.0.2.1": ()}
    (note,) = found.notes
    assert "192.0.2.53:53 ignores the client subnet" in note
    assert finder.stats().subnet_ignored == {"192.0.2.53:53": 1}


async def test_when_a_server_begins_to_ignore_the_option_the_regions_edges_decay(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dns = Dns(by_region)
    finder = EdgeFinder(ask=dns.ask)
    await finder.find(LIVE, SHOP, 443)
    dns.answer = lambda question: named("192.0.2.1", scope=None)
    await trio.sleep(61.0)
    found = await finder.find(LIVE, SHOP, 443)
    assert {edge.ip: edge.stale for edge in found.edges} == {
        "192.0.2.1": False,
        "192.0.2.2": True,
        "192.0.2.3": True,
    }
    await trio.sleep(OPTIONS.keep)
    assert seen(await finder.find(LIVE, SHOP, 443)) == {"192.0.2.1": ()}


async def test_a_region_whose_clients_get_nothing_is_a_failure_beside_the_others_edges(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def answer(question: DnsQuestion) -> DnsOutcome:
        if region_of(question) == "us-east":
            return DnsAnswer((), True, (), 30.0, 24, "192.0.2.53:53")
        return by_region(question)

    found = await EdgeFinder(ask=Dns(answer).ask).find(LIVE, SHOP, 443)
    assert set(seen(found)) == {"192.0.2.1", "192.0.2.3"}
    assert found.failure is not None
    assert found.failure.reason is Reason.NXDOMAIN
    assert found.failure.detail.startswith("for clients in us-east: ")


async def test_a_dead_server_costs_two_time_outs_at_most_however_many_regions(
    autojump_clock: trio.testing.MockClock,
) -> None:
    subnets = {f"region-{n}": f"10.{n}.0.0/16" for n in range(7)}
    provider = replace(LIVE, dns=replace(OPTIONS, client_subnets=subnets))
    begin = trio.current_time()
    found = await EdgeFinder(ask=Dns(lambda q: failed(Reason.TIMEOUT)).ask).find(
        provider, SHOP, 443
    )
    assert trio.current_time() - begin == pytest.approx(10.0)
    assert found.failure is not None
    assert "region-0, region-1" in found.failure.detail


async def test_the_hosts_file_has_no_say_for_clients_elsewhere(
    autojump_clock: trio.testing.MockClock,
) -> None:
    found = await EdgeFinder(ask=Dns(by_region).ask).find(LIVE, Target("localhost"), 443)
    assert len(found.edges) == 3


# ---------------------------------------------------------------- over time

PLAIN = Provider("live", dns=replace(OPTIONS, client_subnets={}, hosts_file=False))


async def test_an_edge_that_rotates_away_is_still_probed_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pools = iter((("192.0.2.1",), ("192.0.2.2",), ("192.0.2.2",)))
    finder = EdgeFinder(ask=Dns(lambda question: named(*next(pools), ttl=300.0)).ask)
    await finder.find(PLAIN, SHOP, 443)
    await trio.sleep(301.0)
    found = await finder.find(PLAIN, SHOP, 443)
    assert [(edge.ip, edge.stale) for edge in found.edges] == [
        ("192.0.2.1", True),
        ("192.0.2.2", False),
    ]
    await trio.sleep(PLAIN.dns.keep)
    assert [edge.ip for edge in (await finder.find(PLAIN, SHOP, 443)).edges] == ["192.0.2.2"]


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.SERVFAIL])
async def test_last_known_edges_stay_while_dns_fails_and_the_failure_is_told(
    autojump_clock: trio.testing.MockClock, reason: Reason
) -> None:
    dns = Dns(lambda question: named("192.0.2.1"))
    finder = EdgeFinder(ask=dns.ask)
    await finder.find(PLAIN, SHOP, 443)
    dns.answer = lambda question: failed(reason)
    for _ in range(40):
        await trio.sleep(61.0)
        found = await finder.find(PLAIN, SHOP, 443)
        assert [(edge.ip, edge.stale) for edge in found.edges] == [("192.0.2.1", False)]
        assert found.failure is not None
        assert found.failure.reason is reason


async def test_edges_of_a_name_that_ceased_to_exist_stay_for_the_time_configured(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dns = Dns(lambda question: named("192.0.2.1"))
    finder = EdgeFinder(ask=dns.ask)
    await finder.find(PLAIN, SHOP, 443)
    dns.answer = lambda question: DnsAnswer((), True, (), 30.0)
    await trio.sleep(61.0)
    found = await finder.find(PLAIN, SHOP, 443)
    assert [edge.stale for edge in found.edges] == [True]
    assert found.failure is not None
    assert found.failure.reason is Reason.NXDOMAIN
    await trio.sleep(PLAIN.dns.keep)
    assert (await finder.find(PLAIN, SHOP, 443)).edges == ()


async def test_asking_again_is_worthwhile_when_the_first_answer_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dns = Dns(lambda question: named("192.0.2.1", ttl=40.0 if question.family == 4 else 90.0))
    provider = replace(PLAIN, dns=replace(PLAIN.dns, families=(4, 6)))
    finder = EdgeFinder(ask=dns.ask)
    assert (await finder.find(provider, SHOP, 443)).ttl == pytest.approx(40.0)
    await trio.sleep(30.0)
    assert (await finder.find(provider, SHOP, 443)).ttl == pytest.approx(10.0)
    await trio.sleep(11.0)
    assert (await finder.find(provider, SHOP, 443)).ttl == pytest.approx(40.0)
    assert [question.family for question in dns.asked].count(6) == 1


async def test_a_ttl_of_zero_is_not_asked_for_at_every_turn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dns = Dns(lambda question: named("192.0.2.1", ttl=0.0))
    finder = EdgeFinder(ask=dns.ask)
    for _ in range(10):
        await finder.find(PLAIN, SHOP, 443)
        await trio.sleep(1.0)
    assert len(dns.asked) == 1


async def test_trouble_with_ipv6_records_alone_is_a_note(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """RFC 4074: some servers choke on AAAA; clients cope. The other way round they do not."""
    provider = replace(PLAIN, dns=replace(PLAIN.dns, families=(4, 6)))

    def choke_on(family: int) -> Answering:
        return lambda q: failed(Reason.SERVFAIL) if q.family == family else named("192.0.2.1")

    found = await EdgeFinder(ask=Dns(choke_on(6)).ask).find(provider, SHOP, 443)
    assert found.failure is None
    assert len(found.notes) == 1
    found = await EdgeFinder(ask=Dns(choke_on(4)).ask).find(provider, SHOP, 443)
    assert found.failure is not None
    assert found.failure.reason is Reason.SERVFAIL


async def test_names_that_nobody_asks_for_any_more_are_forgotten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked = Dns(lambda question: named("192.0.2.1"))
    finder = EdgeFinder(ask=asked.ask)
    await finder.find(PLAIN, SHOP, 443)
    asked.answer = lambda question: failed(Reason.SERVFAIL)
    await trio.sleep(3 * 3600.0)
    await finder.find(PLAIN, Target("other.example"), 443)
    assert (await finder.find(PLAIN, SHOP, 443)).edges == ()


async def test_known_edges_survive_a_change_of_the_systems_resolvers(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    dns = Dns(lambda question: named("192.0.2.1"))
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 192.0.2.53\n")
    finder = EdgeFinder(ask=dns.ask, resolv_conf=resolv_conf, hosts_file=tmp_path / "none")
    options = DnsOptions(families=(4,))
    await finder.resolve("shop.example", 443, options)
    resolv_conf.write_text("nameserver 198.51.100.53\n")
    dns.answer = lambda question: failed(Reason.SERVFAIL)
    await trio.sleep(61.0)
    found = await finder.resolve("shop.example", 443, options)
    assert found.failure is not None
    assert [edge.ip for edge in found.edges] == ["192.0.2.1"]
