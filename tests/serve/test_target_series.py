"""Series of targets under blackbox_exporter's names: one per target, as its worst edge."""

from __future__ import annotations

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.records import CaaSet, NameFindings, NameRecords
from probe.model.result import Failed, Inconclusive, Passed, ResolveResult
from probe.model.state import EdgeStatus
from probe.model.target import Edge, ProviderKey, Resolution
from probe.serve import Store
from probe.serve.series.target_samples import address_hash
from tests.support.reading import series, value

from .world import DAY, START, UNRECOGNIZED, World, leaf, spec

NAME = "shop.example"
OURS = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
NXDOMAIN = Failure(Phase.RESOLVE, Reason.NXDOMAIN)
THROUGH = ProviderKey("stores", NAME, "cdn-a")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store() -> Store:
    store = Store("sa-east", started_at=START)
    store.configure(spec())
    return store


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("127.0.0.1", 3668918509),  # as blackbox_exporter reports it
        ("::1", address_hash("0:0:0:0:0:0:0:1")),
        ("fe80::1%eth0", address_hash("fe80::1")),
    ],
)
def test_address_hash(ip: str, expected: int) -> None:
    assert address_hash(ip) == expected


def test_one_failing_edge_of_eight_fails_the_target(store: Store, world: World) -> None:
    for provider in ("cdn-a", "cdn-b"):
        for number in range(1, 5):
            key = world.key(NAME, provider, number)
            store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    assert value(store, "probe_success", check="stores", target=NAME, region="sa-east") == 1.0
    bad = world.key(NAME, "cdn-b", 3)
    store.record_edge(world.result(bad, Failed(UNRECOGNIZED)), EdgeStatus.FAILING, START)
    assert value(store, "probe_success") == 0.0
    assert value(store, "probe_ip_addr_hash") == address_hash(bad.edge.partition(":")[0])
    assert value(store, "probe_target_edges") == 8.0
    assert value(store, "probe_target_edges_failing") == 1.0
    # What the other edges measured is still there: facts vanish only where there are none.
    assert value(store, "probe_tls_version_info", version="TLS 1.3") == 1.0


SEEN = EdgeStatus.PASSING


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([(Passed(), SEEN), (Passed(), SEEN)], 1.0),
        ([(Passed(), SEEN), (OURS, SEEN)], 1.0),  # believed healthy, not seen this time
        ([(Passed(), SEEN), (OURS, EdgeStatus.FAILING)], 0.0),  # until it is seen to pass
        ([(Passed(), SEEN), (OURS, EdgeStatus.SUSPECT)], None),  # never healthy unseen
        ([(Passed(), SEEN), (OURS, EdgeStatus.UNKNOWN)], None),
        ([(OURS, SEEN), (OURS, SEEN)], None),
        ([(Failed(UNRECOGNIZED), EdgeStatus.SUSPECT), (OURS, SEEN)], 0.0),
    ],
)
def test_success_with_inconclusive_attempts(
    store: Store,
    world: World,
    attempts: list[tuple[Passed | Failed | Inconclusive, EdgeStatus]],
    expected: float | None,
) -> None:
    for number, (outcome, status) in enumerate(attempts, 1):
        key = world.key(NAME, number=number)
        shook = isinstance(outcome, Passed)
        store.record_edge(world.result(key, outcome, shook=shook), status, START)
    assert value(store, "probe_success") == expected
    ours = any(isinstance(outcome, Inconclusive) for outcome, _ in attempts)
    assert value(store, "probe_target_inconclusive") == (1.0 if ours else None)


def test_expiry_is_the_earliest_of_all_edges_and_duration_the_longest(
    store: Store, world: World
) -> None:
    world.leaves[NAME, "cdn-a"] = leaf(NAME, provider="cdn-a", days=50)
    world.leaves[NAME, "cdn-b"] = leaf(NAME, provider="cdn-b", days=20)
    results = [world.result(world.key(NAME, provider)) for provider in ("cdn-a", "cdn-b")]
    for result in results:
        store.record_edge(result, EdgeStatus.PASSING, START)
    assert value(store, "probe_ssl_earliest_cert_expiry") == START + 20 * DAY
    assert value(store, "probe_ssl_last_chain_expiry_timestamp_seconds") == START + 20 * DAY
    longest = max(result.timings.total for result in results)
    assert value(store, "probe_duration_seconds") == pytest.approx(longest)
    (info,) = series(store, "probe_ssl_last_chain_info")  # of the first edge, always
    assert info.labels["fingerprint_sha256"] == leaf(NAME, provider="cdn-a").fingerprint_sha256
    assert info.labels["subjectalternative"] == f"{NAME},www.{NAME}"


def test_a_healthy_targets_series_do_not_jump_between_its_edges(store: Store, world: World) -> None:
    keys = [world.key(NAME, number=number) for number in (1, 2, 3)]
    seen = set()
    for key in (*keys, keys[2], keys[0], keys[1]):
        store.record_edge(world.result(key), EdgeStatus.PASSING, START)
        seen.add(value(store, "probe_ip_addr_hash"))
    assert len(seen) == 1


def resolved(store: Store, failure: Failure | None, *ips: str) -> None:
    edges = tuple(Edge(ip, 443) for ip in ips)
    result = ResolveResult(THROUGH, START, Resolution(edges, failure, seconds=0.2, took=0.2))
    store.record_resolution(result)


def test_a_name_without_any_address_is_down(store: Store) -> None:
    resolved(store, NXDOMAIN)
    assert value(store, "probe_success", target=NAME) == 0.0
    assert value(store, "probe_ip_protocol") == 0.0
    assert value(store, "probe_dns_lookup_time_seconds") == 0.2
    assert value(store, "probe_resolve_success", provider="cdn-a") == 0.0
    assert value(store, "probe_resolve_edges") == 0.0
    assert value(store, "probe_resolve_failures_total", reason="nxdomain") == 1.0
    by_reason = {"phase": "resolve", "reason": "nxdomain", "provider": "cdn-a"}
    assert value(store, "probe_provider_targets_failing_by_reason", **by_reason) == 1.0


def test_dns_failing_while_edges_are_known_is_its_own_signal(store: Store, world: World) -> None:
    key = world.key(NAME)
    resolved(store, None, "198.51.100.1")
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    resolved(store, Failure(Phase.RESOLVE, Reason.SERVFAIL), "198.51.100.1")
    assert value(store, "probe_success") == 1.0
    assert value(store, "probe_resolve_success") == 0.0
    assert value(store, "probe_resolve_attempts_total") == 2.0
    assert value(store, "probe_provider_targets_failing") == 0.0


def test_the_time_of_the_resolution_stays_while_its_answer_is_in_use(store: Store) -> None:
    known = Resolution((Edge("192.0.2.1", 443),), seconds=None, took=0.3)
    store.record_resolution(ResolveResult(THROUGH, START, known))
    assert value(store, "probe_dns_lookup_time_seconds") == 0.3
    assert not series(store, "probe_resolve_seconds")


def test_our_own_dns_trouble_blames_nobody(store: Store) -> None:
    resolved(store, Failure(Phase.RESOLVE, Reason.VANTAGE_ILL))
    assert value(store, "probe_success") is None
    assert value(store, "probe_resolve_success") is None
    assert value(store, "probe_provider_targets_failing") is None
    assert value(store, "probe_agent_inconclusive_total", reason="vantage_ill") == 1.0


def test_fixed_addresses_have_no_dns_series(store: Store) -> None:
    store.record_resolution(ResolveResult(THROUGH, START, Resolution((Edge("192.0.2.1", 443),))))
    assert not series(store, "probe_resolve_success")
    # The one series that is there on every probe, as with blackbox_exporter.
    assert value(store, "probe_dns_lookup_time_seconds") == 0.0
    # CAA records are asked for all the same.
    store.record_named(THROUGH, NameFindings(NameRecords(caa=CaaSet(), wildcard_caa=CaaSet())))
    (seen,) = series(store, "probe_resolve_records_seen")
    assert (seen.labels["record"], seen.value) == ("CAA", 1.0)
