"""HTTPS and CAA records looked up: climbing, aliases, ports, and what was not looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dns.rcode
import pytest
import trio
from trio.testing import MockClock

from probe.edges import EdgeFinder, Pace, RecordFinder
from probe.model.records import (
    CaaRecord,
    CaaSet,
    HttpsRecord,
    HttpsSet,
    NameRecords,
    NotLookedAt,
    RecordType,
)
from probe.model.spec import DnsOptions
from tests.support.dns_server import Asked, Reply

from .virtual_network import Network, network

BOTH: tuple[RecordType, ...] = ("HTTPS", "CAA")
SHOP = "www.shop.example"
ISSUE = CaaRecord(False, "issue", "ca.example")


def zone(**records: tuple[str, ...]) -> Callable[[Asked], Reply]:
    """A server whose names (with _ for .) have these records, as ``type data``."""
    held = {name.replace("_", "."): texts for name, texts in records.items()}
    return serving(held)


def serving(held: dict[str, tuple[str, ...]]) -> Callable[[Asked], Reply]:
    def respond(asked: Asked) -> Reply:
        wanted = (asked.kind, "CNAME")
        fit = [text for text in held.get(asked.name, ()) if text.split()[0] in wanted]
        if not fit:
            return asked.nothing()
        return asked.answer(*(f"{asked.name} 60 {text}" for text in fit))

    return respond


def options(net: Network, **more: object) -> DnsOptions:
    return DnsOptions(servers=tuple(net.addresses), hosts_file=False, timeout=2.0, **more)  # type: ignore[arg-type]


async def look(
    respond: Callable[[Asked], Reply],
    name: str = SHOP,
    *,
    wanted: tuple[RecordType, ...] = BOTH,
    port: int = 443,
    reached: str | None = "",
    **more: object,
) -> tuple[NameRecords, list[tuple[str, str]]]:
    async with network(respond) as net:
        edges = EdgeFinder(resolv_conf=Path("/nonexistent"), pace=Pace())
        found = await RecordFinder(edges.inquiry).look(
            wanted,
            options(net, **more),
            name=name,
            reached=name if reached == "" else reached,
            port=port,
        )
        return found, [(asked.kind, asked.name) for asked in net.asked]


async def test_caa_is_climbed_to_the_nearest_set(autojump_clock: MockClock) -> None:
    found, asked = await look(
        zone(shop_example=('CAA 0 issue "ca.example"',), example=('CAA 0 issue ";"',)),
        wanted=("CAA",),
    )
    assert found.https is None
    assert found.caa == found.wildcard_caa == CaaSet("shop.example", (ISSUE,))
    assert asked.count(("CAA", "shop.example")) == 1
    assert ("CAA", "example") not in asked


async def test_a_wildcard_has_the_set_of_the_parent(autojump_clock: MockClock) -> None:
    respond = zone(www_shop_example=('CAA 0 issue "ca.example"',), example=('CAA 0 issue ";"',))
    found, _ = await look(respond, wanted=("CAA",))
    assert found.caa == CaaSet(SHOP, (ISSUE,))
    assert found.wildcard_caa == CaaSet("example", (CaaRecord(False, "issue", ";"),))


async def test_a_name_without_any_set_is_climbed_to_the_top_level(
    autojump_clock: MockClock,
) -> None:
    found, asked = await look(zone(), wanted=("CAA",))
    assert found.caa == found.wildcard_caa == CaaSet()
    assert sorted(set(asked)) == sorted(
        [("CAA", SHOP), ("CAA", "shop.example"), ("CAA", "example")]
    )


async def test_a_name_that_does_not_exist_is_climbed_too(autojump_clock: MockClock) -> None:
    def respond(asked: Asked) -> Reply:
        if asked.name == "example":
            return asked.answer('example 60 CAA 0 issue "ca.example"')
        return asked.nothing(dns.rcode.NXDOMAIN)

    found, _ = await look(respond, wanted=("CAA",))
    assert found.caa == CaaSet("example", (ISSUE,))


async def test_a_cname_leads_to_the_set_of_its_end(autojump_clock: MockClock) -> None:
    def respond(asked: Asked) -> Reply:
        if asked.name == SHOP:
            return asked.answer(
                f"{SHOP} 60 CNAME cdn.example.", 'cdn.example 60 CAA 0 issue "ca.example"'
            )
        return asked.nothing()

    found, _ = await look(respond, wanted=("CAA",))
    assert found.caa == CaaSet(SHOP, (ISSUE,))
    assert found.wildcard_caa == CaaSet(), "the parents of the name, not of the alias"


@pytest.mark.parametrize("failing", [SHOP, "shop.example", "example"])
async def test_a_failure_on_the_way_up_is_not_looked_at(
    failing: str, autojump_clock: MockClock
) -> None:
    def respond(asked: Asked) -> Reply:
        if asked.name == failing:
            return asked.answer(rcode=dns.rcode.SERVFAIL)
        return asked.nothing()

    found, _ = await look(respond, wanted=("CAA",))
    assert isinstance(found.caa, NotLookedAt)
    assert f"CAA {failing}" in found.caa.why
    assert "SERVFAIL" in found.caa.why
    assert found.looked_at() == {"CAA": False}


async def test_silence_is_not_looked_at_and_ends_in_time(autojump_clock: MockClock) -> None:
    found, _ = await look(lambda _: None)
    assert isinstance(found.https, NotLookedAt)
    assert isinstance(found.caa, NotLookedAt)
    assert trio.current_time() == pytest.approx(2.0, abs=0.05)
    assert found.looked_at() == {"HTTPS": False, "CAA": False}


async def test_what_is_answered_counts_while_the_rest_is_silent(
    autojump_clock: MockClock,
) -> None:
    def respond(asked: Asked) -> Reply:
        return None if asked.kind == "CAA" else asked.answer(f"{asked.name} 60 HTTPS 1 . alpn=h2")

    found, _ = await look(respond)
    assert found.https == HttpsSet(SHOP, (HttpsRecord(1, SHOP, ("h2",)),))
    assert found.looked_at() == {"HTTPS": True, "CAA": False}


async def test_a_malformed_record_spoils_the_set(autojump_clock: MockClock) -> None:
    def respond(asked: Asked) -> Reply:
        good, bad = "HTTPS 1 . alpn=h2", r"HTTPS \# 3 000100"
        reply = asked.answer(f"{asked.name} 60 {good}", f"{asked.name} 60 {bad}")
        return reply.to_wire().replace(b"\x00\x03\x00\x01\x00", b"\x00\x03\x00\x01\x05")

    found, _ = await look(respond, wanted=("HTTPS",))
    assert isinstance(found.https, NotLookedAt)
    assert "damaged" in found.https.why


async def test_an_alias_is_followed(autojump_clock: MockClock) -> None:
    respond = serving(
        {
            SHOP: ("HTTPS 0 a.cdn.example.",),
            "a.cdn.example": ("HTTPS 0 b.cdn.example.", "HTTPS 1 . alpn=ignored"),
            "b.cdn.example": ("HTTPS 2 . alpn=h3", "HTTPS 1 other.example. alpn=h2"),
        }
    )
    found, _ = await look(respond, wanted=("HTTPS",))
    assert found.https == HttpsSet(
        SHOP, (HttpsRecord(1, "other.example", ("h2",)), HttpsRecord(2, "b.cdn.example", ("h3",)))
    )


async def test_aliases_in_a_circle_end(autojump_clock: MockClock) -> None:
    respond = serving({SHOP: ("HTTPS 0 a.example.",), "a.example": (f"HTTPS 0 {SHOP}.",)})
    found, asked = await look(respond, wanted=("HTTPS",))
    assert found.https == HttpsSet(SHOP)
    assert len(asked) == 2


async def test_endless_aliases_are_not_looked_at(autojump_clock: MockClock) -> None:
    def respond(asked: Asked) -> Reply:
        return asked.answer(f"{asked.name} 60 HTTPS 0 a.{asked.name}.")

    found, asked = await look(respond, wanted=("HTTPS",))
    assert isinstance(found.https, NotLookedAt)
    assert len(asked) == 8


async def test_another_port_has_records_of_its_own(autojump_clock: MockClock) -> None:
    respond = serving({f"_8443._https.{SHOP}": (f"HTTPS 1 {SHOP}. alpn=h2",)})
    found, asked = await look(respond, wanted=("HTTPS",), port=8443)
    assert isinstance(found.https, HttpsSet)
    assert found.https.records[0].alpn == ("h2",)
    assert asked == [("HTTPS", f"_8443._https.{SHOP}")]


async def test_each_client_region_is_asked_for_https(autojump_clock: MockClock) -> None:
    def respond(asked: Asked) -> Reply:
        hint = "192.0.2.1" if asked.subnet == "198.51.100.0/24" else "192.0.2.2"
        return asked.answer(f"{asked.name} 60 HTTPS 1 . ipv4hint={hint}", scope=24)

    subnets = {"us": "198.51.100.0/24", "eu": "203.0.113.0/24"}
    found, _ = await look(respond, wanted=("HTTPS",), client_subnets=subnets)
    assert isinstance(found.https, HttpsSet)
    assert {hint for one in found.https.records for hint in one.hints} == {
        "192.0.2.1",
        "192.0.2.2",
    }


@pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1"])
async def test_an_address_has_no_records(name: str, autojump_clock: MockClock) -> None:
    found, asked = await look(zone(), name)
    assert found == NameRecords()
    assert not asked


async def test_written_addresses_have_no_https_record(autojump_clock: MockClock) -> None:
    found, _ = await look(zone(), reached=None)
    assert found.https is None
    assert found.caa == CaaSet()


async def test_a_name_of_many_labels_costs_no_questions(autojump_clock: MockClock) -> None:
    found, asked = await look(zone(), ".".join("a" * 100), wanted=("CAA",))
    assert isinstance(found.caa, NotLookedAt)
    assert not asked
