"""Series of edges: what is there, what is absent, what survives."""

from __future__ import annotations

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.state import EdgeStatus
from probe.model.target import Target
from probe.serve import CertificatesKey, CertificateSplit, Store
from tests.support.reading import exposed, series, value

from .world import START, UNRECOGNIZED, World, spec

NAME = "shop.example"
OURS = Failure(Phase.CONNECT, Reason.LOCAL_RESOURCE, "out of file descriptors")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store() -> Store:
    store = Store("sa-east", started_at=START)
    store.configure(spec())
    store.set_targets("stores", [Target(NAME)])
    return store


def test_a_passing_edge_shows_state_counts_times_and_certificate(
    store: Store, world: World
) -> None:
    key = world.key(NAME)
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    labels = {"check": "stores", "target": NAME, "provider": "cdn-a", "edge": key.edge}
    assert value(store, "probe_edge_up", region="sa-east", client="default", **labels) == 1.0
    assert value(store, "probe_edge_state", state="passing", **labels) == 1.0
    assert value(store, "probe_edge_attempts_total", **labels) == 1.0
    assert value(store, "probe_edge_failed_attempts_total", **labels) == 0.0
    assert value(store, "probe_edge_handshake_seconds", **labels)
    own = world.leaves[NAME, "cdn-a"]
    assert value(store, "probe_edge_certificate_not_after_timestamp_seconds") == own.not_after
    (info,) = series(store, "probe_edge_certificate_info", **labels)
    assert info.labels["fingerprint_sha256"] == own.fingerprint_sha256
    assert value(store, "probe_edge_state_since_timestamp_seconds") is None


def test_a_failed_handshake_takes_certificate_and_times_away_but_no_counter(
    store: Store, world: World
) -> None:
    """A certificate gauge that stays healthy after handshakes fail is what peers get wrong."""
    bad, good = world.key(NAME, number=1), world.key(NAME, number=2)
    for key in (bad, good):
        store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    store.record_edge(world.result(bad, Failed(UNRECOGNIZED)), EdgeStatus.SUSPECT, START + 5)
    for name in (
        "probe_edge_certificate_not_after_timestamp_seconds",
        "probe_edge_certificate_info",
        "probe_edge_tls_info",
        "probe_edge_handshake_seconds",
    ):
        assert value(store, name, edge=bad.edge) is None, name
        assert value(store, name, edge=good.edge) is not None, name
    assert value(store, "probe_edge_connect_seconds", edge=bad.edge)  # TCP did connect
    assert value(store, "probe_edge_up", edge=bad.edge) == 0.0
    assert value(store, "probe_edge_attempts_total", edge=bad.edge) == 2.0
    failures = {"phase": "tls", "reason": "alert_unrecognized_name", "edge": bad.edge}
    assert value(store, "probe_edge_failures_total", **failures) == 1.0
    assert value(store, "probe_edge_state_since_timestamp_seconds") == START + 5


def test_a_rejected_certificate_keeps_its_facts(store: Store, world: World) -> None:
    expired = Failed(Failure(Phase.CERTIFICATE, Reason.EXPIRED))
    store.record_edge(world.result(world.key(NAME), expired), EdgeStatus.FAILING, START)
    assert value(store, "probe_edge_up") == 0.0
    assert value(store, "probe_edge_certificate_not_after_timestamp_seconds")
    assert value(store, "probe_ssl_earliest_cert_expiry")


def test_an_inconclusive_attempt_is_neither_up_nor_down_and_leaves_the_belief(
    store: Store, world: World
) -> None:
    key = world.key(NAME)
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    blind = world.result(key, Inconclusive(OURS), shook=False)
    store.record_edge(blind, EdgeStatus.PASSING, START)
    assert value(store, "probe_edge_up") is None
    assert value(store, "probe_edge_state", state="passing") == 1.0
    assert value(store, "probe_edge_attempts_total") == 2.0
    assert value(store, "probe_edge_failed_attempts_total") == 0.0
    assert value(store, "probe_edge_failures_total") is None
    why = {"phase": "connect", "reason": "local_resource"}
    assert value(store, "probe_edge_inconclusive_total", **why) == 1.0
    assert value(store, "probe_agent_inconclusive_total", check="stores", **why) == 1.0


def test_timings_taken_while_the_agent_was_late_are_dropped_and_counted(
    store: Store, world: World
) -> None:
    key = world.key(NAME)
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    store.record_edge(world.result(key, lag=0.5), EdgeStatus.PASSING, START)
    assert value(store, "probe_edge_connect_seconds") is None
    assert value(store, "probe_edge_handshake_seconds") is None
    assert value(store, "probe_duration_seconds") is None
    assert value(store, "probe_edge_up") == 1.0
    assert value(store, "probe_agent_untrusted_timings_total", check="stores") == 1.0
    assert value(store, "probe_phase_latency_seconds_count", phase="tls") == 1.0


def test_warnings_show_while_the_edge_passes(store: Store, world: World) -> None:
    soon = Failure(Phase.CERTIFICATE, Reason.EXPIRES_SOON, "in 3 days")
    key = world.key(NAME)
    store.record_edge(world.result(key, Passed((soon, soon))), EdgeStatus.PASSING, START)
    assert value(store, "probe_edge_warning", reason="expires_soon") == 1.0
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    assert value(store, "probe_edge_warning") is None


def test_unknown_reasons_are_counted_as_our_defect_from_zero(store: Store, world: World) -> None:
    assert value(store, "probe_agent_unknown_reasons_total", check="stores") == 0.0
    odd = Failed(Failure(Phase.TLS, Reason.UNKNOWN, "error:0A000417"))
    store.record_edge(world.result(world.key(NAME), odd), EdgeStatus.SUSPECT, START)
    assert value(store, "probe_agent_unknown_reasons_total", check="stores") == 1.0


def test_edges_in_the_minority_are_marked_until_they_agree(store: Store, world: World) -> None:
    odd, usual = world.key(NAME, number=1), world.key(NAME, number=2)
    for key in (odd, usual):
        store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    split = CertificatesKey("stores", NAME, "cdn-a", "ecdsa")
    both = (odd, odd._replace(client="tls13"))
    store.record_split(CertificateSplit(split, 2, both, START, alarming=True))
    assert value(store, "probe_certificates_minority_edges") == 1.0  # one edge, two clients
    assert value(store, "probe_edge_certificate_minority", edge=odd.edge) == 1.0
    assert value(store, "probe_certificates_distinct", key_type="ecdsa") == 2.0
    assert value(store, "probe_certificates_split") == 1.0
    assert value(store, "probe_certificates_differ_since_timestamp_seconds") == START
    assert list(store.differing) == [split]
    store.record_split(CertificateSplit(split, 1))
    assert value(store, "probe_edge_certificate_minority") is None
    assert value(store, "probe_certificates_differ_since_timestamp_seconds") is None
    assert not store.differing
    store.forget_split(split)
    assert value(store, "probe_certificates_distinct") is None


@pytest.mark.parametrize(("mode", "shown"), [("all", 2), ("failing", 1), ("none", 0)])
def test_edge_series_can_be_thinned_without_hiding_the_failure(
    mode: str, shown: int, world: World
) -> None:
    store = Store("sa-east", started_at=START)
    store.configure(spec(edge_series=mode))
    good, bad = world.key(NAME, number=1), world.key(NAME, number=2)
    store.record_edge(world.result(good), EdgeStatus.PASSING, START)
    store.record_edge(world.result(bad, Failed(UNRECOGNIZED)), EdgeStatus.FAILING, START)
    assert len(series(store, "probe_edge_attempts_total")) == shown
    assert value(store, "probe_success", target=NAME) == 0.0
    assert value(store, "probe_provider_edges_failing", provider="cdn-a") == 1.0
    store.record_edge(world.result(bad), EdgeStatus.PASSING, START)
    store.record_edge(world.result(good), EdgeStatus.PASSING, START)
    assert len(series(store, "probe_edge_attempts_total")) == (2 if mode == "all" else 0)


def test_thinning_while_running_takes_series_away_and_brings_them_back(
    store: Store, world: World
) -> None:
    key = world.key(NAME)
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    store.configure(spec(edge_series="none"))
    assert not series(store, "probe_edge_up")
    store.configure(spec(edge_series="all"))
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    assert value(store, "probe_edge_attempts_total") == 2.0  # counted all along
    assert "probe_edge_certificate_info" in exposed(store)
