"""Every fault of the lab is what its row says, as the real probers see it."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from probe.certificates import Judge, load_roots
from probe.certificates.lists import RevocationLists
from probe.connection.contexts import TlsContexts
from probe.edges import EdgeFinder, RecordFinder
from probe.http.session import Dialler
from probe.lab.board import Where
from probe.lab.ca import LEAF_DAYS
from probe.lab.faults.kinds import Dns, Http, Preamble, Tunnel
from probe.lab.faults.table import TABLE, Given, Row
from probe.lab.info import Layout, store_names
from probe.lab.places import Place
from probe.lab.transparency import log_list
from probe.lab.world import World, open_world
from probe.lab.zone import AUTHORITY
from probe.model.failure import OURS, Failure, Phase, Reason
from probe.model.records import HttpsSet, NameFindings
from probe.model.result import Failed, Inconclusive, Outcome, Passed, TlsResult
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.spec import DnsOptions, NameServer, Provider, TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ChainExpectations, ClientProfile, Trust
from probe.probers.tls import TlsProber
from probe.revocation.fetch import ListFetcher
from probe.revocation.keeper import ListKeeper
from probe.state.promises import name_findings, with_promises
from tests.support.ports import HERE

TIMEOUT = 5.0
SHORT = 0.4
STORE = "store-001.example"

NOT_THE_WORLDS = {
    Reason.UNREACHABLE: "needs a router that says so; loopback has none",
    Reason.EXIT_CODE: "a program of the agent's own host, not a server",
    Reason.OUTPUT: "a program of the agent's own host, not a server",
    Reason.TOKEN_REFUSED: "takes two runs of a flow: tests/flow/test_flow_login.py",
    Reason.UNKNOWN: "what no row may ever give",
}
"""Reasons without a fault, and why the lab cannot make one."""

EXPECTING = {
    Given.ALPN: ChainExpectations(alpn="h2"),
    Given.ISSUERS: ChainExpectations(issuers=("Lab Issuing CA 1",)),
    Given.FINGERPRINTS: ChainExpectations(fingerprints=("00" * 32,)),
    Given.OCSP: ChainExpectations(ocsp="require"),
    Given.LOGGED: ChainExpectations(ct="require"),
}
PUBLIC = {Given.PUBLIC, Given.LOGGED, Given.LOGS}
CLIENTS = {
    Given.RSA_CLIENT: ClientProfile("rsa", "tls12-rsa"),
    Given.RSA_NOT_BEFORE: ClientProfile("rsa", "tls12-rsa"),
    Given.RESUMPTION: ClientProfile(resumption="across_edges"),
    Given.ECDSA_CLIENT: ClientProfile("ecdsa", "tls12-ecdsa"),
    Given.ANDROID: ClientProfile("android", "android"),
    Given.JAVA: ClientProfile("java", "java"),
    Given.POST_QUANTUM: ClientProfile("hybrid", groups=("X25519MLKEM768",)),
}

RECORD_ROWS = [row for row in TABLE if row.given is Given.RECORDS]
DNS_ROWS = [row for row in TABLE if isinstance(row.fault, Dns) and row not in RECORD_ROWS]
TLS_ROWS = [
    row
    for row in TABLE
    if not isinstance(row.fault, Dns | Http | Tunnel) and row not in RECORD_ROWS
]


def patience(row: Row) -> float:
    """Little where running out of it is the point."""
    return SHORT if row.reason is Reason.TIMEOUT else TIMEOUT


def name_of(row: Row) -> str:
    return row.name if row.given is Given.DEFAULT else f"{row.name}-{row.given}"


def finding(outcome: Outcome) -> Failure | None:
    match outcome:
        case Passed(warnings=warnings):
            return warnings[0] if warnings else None
        case Failed(failure=failure) | Inconclusive(failure=failure):
            return failure


def assert_as_promised(row: Row, outcome: Outcome) -> None:
    found = finding(outcome)
    seen = (found.phase, found.reason) if found else (None, None)
    assert seen == (row.phase, row.reason), found
    assert isinstance(outcome, Passed) == (row.warning or row.reason is None)
    assert isinstance(outcome, Inconclusive) == (row.reason in OURS)


def no_secrets(reference: SecretRef) -> Secret:
    raise SecretError(f"{reference}: none in this test")


def tls_check(row: Row, world: World) -> TlsCheck:
    expect = EXPECTING.get(row.given, ChainExpectations())
    if row.given in (Given.NOT_BEFORE, Given.RSA_NOT_BEFORE):
        expect = replace(expect, not_before=time.time() - 5 * 86400)
    if row.given is Given.LOGS:
        path = Path(world.info.roots).with_name("log_list.json")
        path.write_text(log_list())
        expect = replace(expect, ct_log_list=str(path))
    return TlsCheck(
        "table",
        "stores",
        ("cdn-b",),
        timeout=patience(row),
        starttls=row.fault.protocol if isinstance(row.fault, Preamble) else None,
        expect=expect,
        trust=Trust("file", world.info.roots),
    )


async def probe_edge(row: Row, world: World) -> TlsResult:
    """Probe once, as ``probe check`` does: with the revocation lists that the chain names."""
    public = load_roots(Trust("file", world.info.roots)).digests if row.given in PUBLIC else set()
    contexts = TlsContexts(no_secrets)
    judge = Judge(public=lambda: frozenset(public), lists=RevocationLists())
    assert judge.lists is not None
    fetcher = ListFetcher(Dialler(contexts, judge, time.time), EdgeFinder().resolve, lambda: HERE)
    keeper = ListKeeper(judge.lists, fetcher.fetch, time.time)
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        own = ("*.edges.example",) if row.given is Given.OWN_NAMES else ()
        prober = TlsProber(contexts, judge, time.time, own_names=lambda _: own)
        prober.settled = partial(keeper.settled, patience=TIMEOUT)
        result = await _probed(prober, row, world)
        nursery.cancel_scope.cancel()
    return result


async def _probed(prober: TlsProber, row: Row, world: World) -> TlsResult:
    first, giver, *_ = world.info.seen("sa-east", "cdn-b")
    profile, check = CLIENTS.get(row.given, ClientProfile()), tls_check(row, world)

    async def probe(place: Place) -> TlsResult:
        edge = Edge(place.ip, place.port, written=True)
        key = EdgeKey("table", STORE, "cdn-b", edge.label, profile.name)
        return await prober.probe(key, edge, Target(STORE), check, profile)

    if row.given is Given.RESUMPTION:
        await probe(giver)
    return await probe(first)


@pytest.mark.parametrize("row", TLS_ROWS, ids=name_of)
async def test_an_edge_with_the_fault_gives_the_rows_finding(row: Row, world: World) -> None:
    if row.linux and sys.platform != "linux":
        pytest.skip("this fault can be made on Linux only")
    await world.inject(row.name)
    with trio.fail_after(2 * TIMEOUT):
        result = await probe_edge(row, world)
    assert_as_promised(row, result.outcome)


async def test_an_edge_without_a_fault_passes(world: World) -> None:
    healthy = Row("none", TABLE[0].fault, None, None)
    result = await probe_edge(healthy, world)
    assert_as_promised(healthy, result.outcome)
    assert result.handshake is not None
    assert result.handshake.leaf is not None
    assert result.handshake.leaf.dns_names == (STORE,)
    assert result.handshake.verified_not_after is not None
    assert result.handshake.verified_not_after < time.time() + (LEAF_DAYS + 1) * 86400


@pytest.mark.parametrize("row", DNS_ROWS, ids=name_of)
async def test_a_resolver_with_the_fault_gives_the_rows_finding(row: Row, world: World) -> None:
    await world.inject(row.name)
    ip, port = world.info.resolvers["sa-east"]
    options = DnsOptions(servers=(NameServer(ip, port),), timeout=patience(row), families=(4,))
    provider = Provider("live", dns=options)
    with trio.fail_after(2 * TIMEOUT):
        resolution = await EdgeFinder().find(provider, Target(STORE), world.info.port)
    failure = resolution.failure
    seen = (failure.phase, failure.reason) if failure else (None, None)
    assert seen == (row.phase, row.reason), failure
    assert bool(resolution.edges) == (row.reason is None)


async def looked_up(world: World) -> tuple[NameFindings, TlsResult]:
    """The records of a store, and an edge judged by them."""
    ip, port = world.info.resolvers["sa-east"]
    options = DnsOptions(servers=(NameServer(ip, port),), timeout=TIMEOUT, families=(4,))
    provider, finder = Provider("live", dns=options), EdgeFinder()
    found = await finder.find(provider, Target(STORE), world.info.port)
    records = await RecordFinder(finder.inquiry).look(
        ("HTTPS", "CAA"), options, name=STORE, reached=STORE, port=world.info.port
    )
    result = with_promises(
        await probe_edge(Row("none", TABLE[0].fault, None, None), world),
        records,
        name=STORE,
        offered=ClientProfile().alpn,
        issuers={"Lab": (AUTHORITY,)},
    )
    return name_findings(records, found), result


@pytest.mark.parametrize("row", RECORD_ROWS, ids=name_of)
async def test_records_with_the_fault_give_the_rows_finding(row: Row, world: World) -> None:
    await world.inject(row.name)
    with trio.fail_after(4 * TIMEOUT):
        named, result = await looked_up(world)
    assert isinstance(result.outcome, Passed)
    found = [(one.phase, one.reason) for one in (*named.warnings, *result.outcome.warnings)]
    assert found == ([] if row.reason is None else [(row.phase, row.reason)])
    assert all(named.records.looked_at().values()) == (row.name != "dns_broken_records")


async def test_records_without_a_fault_find_nothing_and_were_looked_at(world: World) -> None:
    with trio.fail_after(4 * TIMEOUT):
        named, result = await looked_up(world)
    assert named.warnings == ()
    assert result.outcome == Passed()
    assert result.notes == ()
    assert named.records.looked_at() == {"HTTPS": True, "CAA": True}
    assert isinstance(named.records.https, HttpsSet)
    assert named.records.https.records[0].alpn == ("h2", "http/1.1")


def test_every_reason_that_a_remote_can_cause_has_a_fault() -> None:
    caused = {row.reason for row in TABLE if row.reason is not None}
    missing = set(Reason) - caused - OURS - set(NOT_THE_WORLDS)
    assert not missing
    assert not caused & set(NOT_THE_WORLDS), "has a fault now: strike it from the list"


def test_every_phase_has_a_fault() -> None:
    assert {row.phase for row in TABLE} - {None} == set(Phase)


def test_a_row_without_a_reason_has_no_phase() -> None:
    assert all((row.phase is None) == (row.reason is None) for row in TABLE)


async def test_a_fault_limited_to_a_store_an_edge_and_a_region_strikes_there_only(
    tmp_path: Path,
) -> None:
    row = Row("expired", TABLE[0].fault, Phase.CERTIFICATE, Reason.EXPIRED)
    healthy = Row("expired", TABLE[0].fault, None, None)
    async with open_world(tmp_path, Layout(domains=store_names(2))) as world:
        hit, other = world.info.seen("sa-east", "cdn-b")[:2]
        for elsewhere in (
            Where(domains=frozenset({"store-002.example"})),
            Where(edges=frozenset({other.name})),
            Where(regions=frozenset({"eu-west"})),
        ):
            await world.inject("expired", elsewhere)
        assert_as_promised(healthy, (await probe_edge(healthy, world)).outcome)
        here = Where(frozenset({STORE}), frozenset({hit.name}), frozenset({"sa-east"}))
        number = await world.inject("expired", here)
        assert_as_promised(row, (await probe_edge(row, world)).outcome)
        await world.remove(number)
        assert_as_promised(healthy, (await probe_edge(healthy, world)).outcome)
