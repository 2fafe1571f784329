"""Series of what is gone vanish; counters of what stays survive; late results do no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from probe.model.flow import ApiCheck
from probe.model.result import Failed
from probe.model.spec import TlsCheck
from probe.model.state import EdgeStatus
from probe.model.target import ProviderKey, Target
from probe.serve import Store
from probe.serve.series.family import Format
from probe.serve.series.tables import Series
from tests.support.reading import exposed, series, value

from .world import START, UNRECOGNIZED, World, filled, spec


@pytest.fixture
def store() -> Store:
    return filled(targets=4, edges=2, broken_targets=2, broken_edges=1)


def test_a_removed_target_leaves_no_series(store: Store) -> None:
    gone, stays = "store-00001.example", "store-00000.example"
    assert gone in exposed(store)
    store.set_targets("stores", [Target(stays), Target("store-00002.example")])
    assert gone not in exposed(store)
    assert stays in exposed(store)
    assert value(store, "probe_provider_targets", provider="cdn-b") == 2.0
    assert value(store, "probe_provider_targets_failing", provider="cdn-b") == 1.0


def test_a_late_result_of_a_removed_target_brings_nothing_back(store: Store) -> None:
    gone = "store-00001.example"
    store.set_targets("stores", [Target("store-00000.example")])
    world = World()
    key = world.key(gone)
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    store.record_resolution(world.resolved(key.through, ()))
    assert gone not in exposed(store)


def test_a_forgotten_edge_goes_and_its_target_stays(store: Store) -> None:
    world = World()
    bad = world.key("store-00000.example", "cdn-b", 1)
    assert value(store, "probe_success", target=bad.target) == 0.0
    store.forget([bad])
    assert not series(store, "probe_edge_up", target=bad.target, edge=bad.edge)
    assert value(store, "probe_success", target=bad.target) == 1.0
    assert value(store, "probe_target_edges", target=bad.target) == 3.0


def test_a_forgotten_provider_takes_all_of_it_for_that_target(store: Store) -> None:
    through = ProviderKey("stores", "store-00000.example", "cdn-b")
    store.forget([through])
    own = {"target": through.target, "provider": "cdn-b"}
    for name in ("probe_edge_up", "probe_resolve_success", "probe_certificates_distinct"):
        assert not series(store, name, **own), name
    assert series(store, "probe_edge_up", target=through.target, provider="cdn-a")


def test_forgetting_what_is_not_there_is_no_error(store: Store) -> None:
    before = exposed(store).count("\n")
    store.forget([World().key("nobody.example"), ProviderKey("stores", "nobody.example", "x")])
    assert exposed(store).count("\n") == before


def test_counters_survive_a_reload(store: Store) -> None:
    bad = World().key("store-00000.example", "cdn-b", 1)
    labels = {"target": bad.target, "edge": bad.edge}
    before = value(store, "probe_edge_failed_attempts_total", **labels)
    assert before == 4.0
    store.configure(replace(spec(), digest="1f" * 32))
    assert value(store, "probe_edge_failed_attempts_total", **labels) == before
    assert value(store, "probe_provider_attempts_total", provider="cdn-a") == 8.0


def test_a_removed_check_leaves_nothing_behind(store: Store) -> None:
    assert 'check="developer-cli"' in exposed(store)
    only = spec()
    store.configure(replace(only, checks=only.checks[:1]))
    assert 'check="developer-cli"' not in exposed(store)
    assert 'check="stores"' in exposed(store)
    store.configure(replace(only, checks=()))
    assert 'check="' not in exposed(store)
    assert not store.targets
    assert not store.census.providers


def test_a_removed_provider_leaves_no_histogram_behind(store: Store) -> None:
    def of(provider: str) -> list[str]:
        return [
            line
            for line in exposed(store).splitlines()
            if line.startswith("probe_phase_latency_seconds_count{")
            and f'provider="{provider}"' in line
        ]

    first, *others = spec().checks
    assert isinstance(first, TlsCheck)
    assert of("cdn-a")
    store.configure(replace(spec(), checks=(replace(first, providers=("cdn-b",)), *others)))
    assert not of("cdn-a")
    assert of("cdn-b")


def test_a_removed_step_leaves_nothing_behind(store: Store) -> None:
    checks = spec().checks
    (flow,) = [check for check in checks if isinstance(check, ApiCheck)]
    first, *others = flow.steps
    assert f'step="{first.name}"' in exposed(store)
    shorter = replace(flow, steps=tuple(others))
    store.configure(
        replace(spec(), checks=tuple(shorter if check is flow else check for check in checks))
    )
    assert f'step="{first.name}"' not in exposed(store)
    assert all(f'step="{step.name}"' in exposed(store) for step in others)


def test_labels_of_targets_stand_on_an_info_series_alone(store: Store) -> None:
    labels = {"owner": "a", "target": "x", "__meta": "y", "none": "", "no-dash": "z", "9": "q"}
    store.set_targets("stores", [Target("store-00000.example", labels=labels)])
    (info,) = series(store, "probe_target_info", target="store-00000.example")
    assert info.labels == {
        "check": "stores",
        "target": "store-00000.example",
        "region": "sa-east",
        "owner": "a",
        "label_target": "x",
        "no_dash": "z",
        "label_9": "q",
    }
    assert "owner" not in series(store, "probe_success", check="stores")[0].labels
    store.set_targets("stores", [Target("store-00000.example")])
    assert not series(store, "probe_target_info")


def test_checks_say_their_kind_and_labels() -> None:
    store = filled(targets=1)
    (info,) = series(store, "probe_check_info", check="stores")
    assert info.labels == {
        "check": "stores", "kind": "tls", "interval_seconds": "15",
        "region": "sa-east", "team": "edge", "severity": "page",
    }  # fmt: skip


def test_what_is_written_step_by_step_equals_what_is_written_from_scratch(store: Store) -> None:
    """Results that change nothing take a short way; it must end in the same place."""
    world = World()
    for number in (1, 2, 1):
        key = world.key("store-00000.example", "cdn-a", number)
        store.record_edge(world.result(key), EdgeStatus.PASSING, START)
        store.record_edge(world.result(key, lag=1.0), EdgeStatus.PASSING, START)
        store.record_edge(world.result(key, Failed(UNRECOGNIZED)), EdgeStatus.SUSPECT, START)
        store.record_edge(world.result(key), EdgeStatus.PASSING, START)
        store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    late = world.result(world.key("store-00000.example", "cdn-a", 2), lag=1.0)
    store.record_edge(late, EdgeStatus.PASSING, START)
    anew = Series("sa-east")
    anew.configure(store.checks, spec().limits.lag_bound)
    for record in store.targets.values():
        for edge in record.edges.values():
            anew.edge(edge)
        for resolution in record.resolutions.values():
            anew.resolution(resolution)
        for flow in record.flows.values():
            anew.flow(flow)
        anew.target(record)
    pairs = (
        (store.series.tables.edge, anew.tables.edge),
        (store.series.tables.target, anew.tables.target),
        (store.series.tables.resolve, anew.tables.resolve),
        (store.series.tables.flow, anew.tables.flow),
        (store.series.tables.step, anew.tables.step),
    )
    for kept, fresh in pairs:
        assert _lines(kept.blocks(Format.TEXT)) == _lines(fresh.blocks(Format.TEXT))


def _lines(blocks: Iterator[bytes]) -> list[bytes]:
    return sorted(b"".join(blocks).split(b"\n"))
