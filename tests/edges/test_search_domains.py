"""Search domains of this host: for names without a dot, as other programs do, and for no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from probe.edges import EdgeFinder
from probe.edges.answers import DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import DnsOptions, NameServer, Provider
from probe.model.target import Resolution, Target

SERVERS = (NameServer("192.0.2.53"),)


class Cluster:
    """DNS of a cluster, as this host's resolver: what it was asked, and what it knows."""

    def __init__(self, folder: Path, *known: str, silent: str = "") -> None:
        self.known, self.silent = known, silent
        self.asked: list[str] = []
        resolv_conf = folder / "resolv.conf"
        resolv_conf.write_text("search ns.svc.example svc.example\noptions ndots:5\n")
        self.finder = EdgeFinder(
            ask=self.ask, resolv_conf=resolv_conf, hosts_file=folder / "none", route=lambda ip: True
        )

    async def ask(
        self, _: Sequence[NameServer], question: DnsQuestion, timeout: float
    ) -> DnsOutcome:
        if question.family == 4:
            self.asked.append(question.name)
        if question.name == self.silent:
            return NoAnswer(Failure(Phase.RESOLVE, Reason.SERVFAIL, "SERVFAIL"), alive=True)
        here = question.name in self.known
        addresses = ("192.0.2.1",) if here and question.family == 4 else ()
        return DnsAnswer(addresses, nxdomain=not here, cnames=(), ttl=60.0, server="192.0.2.53:53")

    async def find(self, host: str, options: DnsOptions | None = None) -> Resolution:
        return await self.finder.resolve(host, 80, options)


def ips(found: Resolution) -> list[str]:
    return [edge.ip for edge in found.edges]


async def test_a_name_without_a_dot_is_searched_in_order(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "backend.svc.example")
    found = await cluster.find("Backend")
    assert (ips(found), found.failure) == (["192.0.2.1"], None)
    assert cluster.asked == ["backend.ns.svc.example", "backend.svc.example"]


async def test_so_is_the_target_of_a_check(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "backend.ns.svc.example")
    found = await cluster.finder.find(Provider("live", dns=DnsOptions()), Target("backend", 81), 80)
    assert [edge.label for edge in found.edges] == ["192.0.2.1:81"]


async def test_what_no_search_domain_holds_is_asked_as_it_is(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "backend")
    assert ips(await cluster.find("backend")) == ["192.0.2.1"]
    assert cluster.asked[-1] == "backend"


async def test_a_failure_of_dns_ends_the_search(tmp_path: Path) -> None:
    """The next domain may hold another server of that name."""
    cluster = Cluster(tmp_path, "backend.svc.example", silent="backend.ns.svc.example")
    found = await cluster.find("backend")
    assert found.failure is not None
    assert found.failure.reason is Reason.SERVFAIL
    assert ips(found) == []


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("backend", "; nor is it in the search domains ns.svc.example, svc.example"),
        (
            "backend.ns",
            "; names with a dot are not tried in the search domains ns.svc.example, svc.example",
        ),
        ("backend.ns.", ""),
    ],
)
async def test_the_failure_says_what_search_domains_had_to_do_with_it(
    tmp_path: Path, host: str, hint: str
) -> None:
    known = ("backend.ns.svc.example",) if "." in host else ()
    cluster = Cluster(tmp_path, *known)
    found = await cluster.find(host)
    assert found.failure is not None
    assert found.failure.reason is Reason.NXDOMAIN
    name = host.removesuffix(".")
    assert found.failure.detail == f"{name} does not exist, says 192.0.2.53:53{hint}"


@pytest.mark.parametrize(
    "options", [DnsOptions(servers=SERVERS), DnsOptions(client_subnets={"eu": "198.51.100.0/24"})]
)
async def test_servers_of_the_configuration_know_no_search_domains(
    tmp_path: Path, options: DnsOptions
) -> None:
    cluster = Cluster(tmp_path, "backend.ns.svc.example")
    found = await cluster.find("backend", options)
    assert set(cluster.asked) == {"backend"}
    assert found.failure is not None
    assert "search" not in found.failure.detail
