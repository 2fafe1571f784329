"""HTTPS and CAA records of a real server, Knot DNS, and edges that keep to them or do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.edges import RecordFinder
from probe.model.failure import Reason
from probe.model.records import (
    CaaRecord,
    CaaSet,
    HttpsRecord,
    HttpsSet,
    NameRecords,
    NotLookedAt,
)
from probe.model.spec import NameServer
from probe.model.target import Target
from probe.state.caa import caa_opinion
from probe.state.promises import name_findings

from .test_dns_knot import finder, knot, live

pytestmark = pytest.mark.real


async def looked_up(server: NameServer, name: str, *, port: int = 443) -> NameRecords:
    full = f"{name}.stores.example"
    records = RecordFinder(finder().inquiry)
    dns = live(server).dns
    return await records.look(("HTTPS", "CAA"), dns, name=full, reached=full, port=port)


async def test_records_are_read_as_a_real_server_writes_them(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        found = await looked_up(server, "web")
    assert found.https == HttpsSet(
        "web.stores.example",
        (
            HttpsRecord(
                1,
                "web.stores.example",
                ("h2", "h3"),
                hints=("192.0.2.97", "192.0.2.66", "2001:db8::97"),
            ),
            HttpsRecord(2, "spare.stores.example", ("h2",), default_alpn=False, port=8443),
        ),
    )
    assert found.caa == CaaSet(
        "web.stores.example",
        (CaaRecord(False, "issue", "ca.example; validationmethods=dns-01"),),
    )
    assert found.wildcard_caa == CaaSet(
        "stores.example",
        (
            CaaRecord(False, "issue", "letsencrypt.org"),
            CaaRecord(False, "issuewild", ";"),
            CaaRecord(True, "iodef", "mailto:security@stores.example"),
        ),
    )


async def test_a_hint_that_a_and_aaaa_do_not_name_is_found(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        addresses = await finder().find(live(server), Target("web.stores.example"), 443)
        records = await looked_up(server, "web")
    (warning,) = name_findings(records, addresses).warnings
    assert warning.reason is Reason.HINT_NOT_AN_EDGE
    assert "hints at 192.0.2.66, which" in warning.detail


async def test_a_set_is_climbed_to_and_judged(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        plain, nowhere = await looked_up(server, "plain"), await looked_up(server, "no.where")
    for found in (plain, nowhere):
        assert isinstance(found.caa, CaaSet)
        assert found.caa.name == "stores.example"
        opinion = caa_opinion(found.caa, "CN=E7,O=Let's Encrypt", wildcard=False, own={})
        assert not opinion.why
        assert caa_opinion(found.caa, "CN=E7,O=Let's Encrypt", wildcard=True, own={}).forbids
    assert plain.https == HttpsSet("plain.stores.example")


async def test_an_alias_and_a_name_of_a_port_lead_to_the_service(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        alias, port = await looked_up(server, "alias"), await looked_up(server, "web", port=8443)
    assert isinstance(alias.https, HttpsSet)
    assert alias.https.records[0].target == "web.stores.example"
    assert port.https == HttpsSet(
        "_8443._https.web.stores.example", (HttpsRecord(1, "web.stores.example", ("http/1.1",)),)
    )


async def test_a_zone_that_the_server_does_not_hold_is_not_looked_at(tmp_path: Path) -> None:
    async with knot(tmp_path) as server:
        records = RecordFinder(finder().inquiry)
        name, dns = "shop.other.example", live(server).dns
        found = await records.look(("HTTPS", "CAA"), dns, name=name, reached=name, port=443)
    assert isinstance(found.https, NotLookedAt)
    assert isinstance(found.caa, NotLookedAt)
    assert "REFUSED" in found.caa.why
