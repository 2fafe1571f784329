from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from probe.lab.info import Layout, store_names
from probe.lab.places import lay_out
from probe.lab.world import MULTI_CDN, cdn_host, make_zone
from probe.lab.zone import Zone, healthy_answer

STORE = "store-001.example"


@pytest.fixture
def zone() -> Zone:
    layout = Layout(domains=store_names(2), ttl=7)
    return make_zone(layout, lay_out(layout.regions, distinct=True))


def ask(
    zone: Zone, name: str, *, kind: str = "A", region: str = "sa-east", subnet: str = ""
) -> dns.message.Message:
    options: list[dns.edns.Option] = [dns.edns.ECSOption(subnet, 24)] if subnet else []
    query = dns.message.make_query(name, kind, use_edns=0, options=options)
    return healthy_answer(zone, query, region, heeds_subnets=True)


def addresses(message: dns.message.Message) -> set[str]:
    return {str(record) for rrset in message.answer for record in rrset if rrset.rdtype == 1}


def test_a_store_leads_over_its_cdn_to_the_edges_of_the_askers_region(zone: Zone) -> None:
    answer = ask(zone, STORE)
    assert answer.answer[0].to_text().endswith(f" IN CNAME {cdn_host('cdn-a')}.")
    assert 7 <= answer.answer[0].ttl <= 10
    assert answer.answer[1].ttl == 7
    assert addresses(answer) == {f"127.20.1.{n}" for n in range(1, 5)}
    assert addresses(ask(zone, STORE, region="us-east")) == {f"127.21.1.{n}" for n in range(1, 5)}


def test_a_client_subnet_changes_the_view_and_is_answered_with_its_scope(zone: Zone) -> None:
    answer = ask(zone, STORE, subnet="203.0.113.0")
    assert addresses(answer) == {f"127.22.1.{n}" for n in range(1, 5)}
    (option,) = answer.options
    assert isinstance(option, dns.edns.ECSOption)
    assert option.scopelen == 24


def test_a_subnet_of_no_region_leaves_the_resolvers_own_view(zone: Zone) -> None:
    answer = ask(zone, STORE, subnet="10.1.2.0")
    assert addresses(answer) == addresses(ask(zone, STORE))
    assert answer.options == ()


def test_a_store_that_moved_leads_to_the_edges_of_both_cdns(zone: Zone) -> None:
    zone.point([STORE], MULTI_CDN)
    assert len(addresses(ask(zone, STORE))) == 8
    assert len(addresses(ask(zone, "store-002.example"))) == 4


def test_a_store_cannot_move_to_a_name_that_does_not_exist(zone: Zone) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        zone.point([STORE], "nowhere.example")


def test_an_unknown_name_is_nxdomain_and_a_known_one_has_no_ipv6(zone: Zone) -> None:
    assert ask(zone, "unknown.example").rcode() == dns.rcode.NXDOMAIN
    answer = ask(zone, cdn_host("cdn-a"), kind="AAAA")
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.answer
    assert answer.flags & dns.flags.RA
