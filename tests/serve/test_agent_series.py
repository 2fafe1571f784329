"""What the agent says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from probe.serve import Store
from probe.serve.memory.agent import SourceView
from probe.serve.series import families
from probe.serve.series.family import Sample
from probe.state.vantage import Health
from tests.support.reading import exposed, series, value

from .world import ILL, START, spec


@pytest.fixture
def store() -> Store:
    store = Store("sa-east", started_at=START)
    store.configure(spec())
    return store


def test_what_nobody_measured_is_not_zero(store: Store) -> None:
    """An agent that has judged nothing yet must not look ill, and no reload must look failed."""
    for name in (
        "probe_vantage_healthy",
        "probe_agent_config_last_reload_success",
        "probe_agent_loop_lag_seconds_count",
        "probe_agent_build_info",
    ):
        assert value(store, name) is None, name
    assert value(store, "probe_agent_unknown_reasons_total", check="stores") == 0.0


def test_a_failed_reload_keeps_hash_and_time_of_the_running_configuration(store: Store) -> None:
    store.agent.reloaded(success=True, at=START, digest="aa")
    store.agent.reloaded(success=False, at=START + 60, problem="12 problems")
    assert value(store, "probe_agent_config_last_reload_success") == 0.0
    name = "probe_agent_config_last_reload_success_timestamp_seconds"
    assert value(store, name) == START
    assert value(store, "probe_agent_config_info", digest="aa", region="sa-east") == 1.0
    assert "12 problems" not in exposed(store)


def test_an_ill_vantage_names_its_causes_while_it_is_ill(store: Store) -> None:
    store.agent.health = lambda: ILL
    assert value(store, "probe_vantage_healthy") == 0.0
    assert value(store, "probe_vantage_illness", cause="clock") == 1.0
    assert value(store, "probe_vantage_unjudged", cause="network") == 1.0
    assert value(store, "probe_vantage_clock_offset_seconds") == -60.0
    store.agent.health = Health
    assert value(store, "probe_vantage_healthy") == 1.0
    assert not series(store, "probe_vantage_illness")


def test_a_source_with_rejected_entries_is_up_and_counts_them(store: Store) -> None:
    assert not series(store, "probe_agent_discovery_rejected")
    told(store, SourceView("stores", "a.yaml", False, problem="no such file"))
    assert value(store, "probe_agent_discovery_up", source="a.yaml") == 0.0
    assert not series(store, "probe_agent_discovery_rejected"), "nothing was read"
    told(store, SourceView("stores", "a.yaml", True, 2999, 1, START, "a.yaml:3:1: a slip"))
    assert value(store, "probe_agent_discovery_up", source="a.yaml") == 1.0
    assert value(store, "probe_agent_discovery_rejected", source="a.yaml") == 1.0
    told(store, SourceView("stores", "a.yaml", True, 3000, 0, START))
    assert value(store, "probe_agent_discovery_rejected", source="a.yaml") == 0.0


def test_what_is_beyond_the_limit_and_since_when_a_short_list_is_held_have_series(
    store: Store,
) -> None:
    told(
        store, SourceView("stores", "a.yaml", True, 300, 0, START, unused=20, held_since=START + 5)
    )
    held = "probe_agent_discovery_held_since_timestamp_seconds"
    assert value(store, "probe_agent_discovery_unused", source="a.yaml") == 20.0
    assert value(store, held, source="a.yaml") == START + 5
    told(store, SourceView("stores", "a.yaml", True, 20, 0, START))
    assert value(store, "probe_agent_discovery_unused", source="a.yaml") == 0.0
    assert not series(store, held)


def test_sources_that_are_shown_alike_have_one_series_and_none_hides_another(store: Store) -> None:
    """Two URLs that differ in their query are shown without it."""
    url = "https://inventory.example/targets"
    good = SourceView("stores", url, True, 3, 1, START + 60)
    told(store, good, SourceView("stores", url, True, 2, 0, START))
    assert value(store, "probe_agent_discovery_up", source=url) == 1.0
    assert value(store, "probe_agent_discovery_targets", source=url) == 5.0
    assert value(store, "probe_agent_discovery_rejected", source=url) == 1.0
    name = "probe_agent_discovery_last_success_timestamp_seconds"
    assert value(store, name, source=url) == START
    for views in permutations((good, SourceView("stores", url, False, problem="no answer"))):
        told(store, *views)
        assert value(store, "probe_agent_discovery_up", source=url) == 0.0
        assert not series(store, "probe_agent_discovery_targets"), "one has not told yet"


def told(store: Store, *sources: SourceView) -> None:
    store.agent.sources = lambda: sources


def test_a_source_that_fails_keeps_its_last_answer(store: Store) -> None:
    told(store, SourceView("stores", "a.yaml", False, 3, 0, START, "a.yaml:3:1: not a list"))
    assert value(store, "probe_agent_discovery_up", source="a.yaml") == 0.0
    assert value(store, "probe_agent_discovery_targets", source="a.yaml") == 3.0
    name = "probe_agent_discovery_last_success_timestamp_seconds"
    assert value(store, name, list="stores") == START
    told(store)
    assert not series(store, "probe_agent_discovery_up")


def test_what_is_asked_at_the_scrape_is_never_stale(store: Store) -> None:
    running = {"stores": 7.0, "cli": 0.0}
    store.agent.readings.append(
        lambda: [(families.AGENT_IN_FLIGHT, n, (("check", c),)) for c, n in running.items()]
    )
    assert value(store, "probe_agent_in_flight", check="stores") == 7.0
    del running["stores"]
    assert value(store, "probe_agent_in_flight", check="stores") is None
    assert value(store, "probe_agent_in_flight", check="cli") == 0.0


def test_a_defect_in_what_is_asked_costs_its_series_and_no_more(store: Store) -> None:
    crashes: list[tuple[str, str]] = []

    def broken() -> Iterator[Sample]:
        yield families.AGENT_SHARE_PEERS, 3.0, ()
        raise IndexError

    store.agent.on_defect = lambda loop, where: crashes.append((loop, where))
    store.agent.readings.append(broken)
    assert value(store, "probe_agent_share_peers") is None
    assert value(store, "probe_agent_unknown_reasons_total", check="stores") == 0.0
    assert crashes[0][0] == "report"
    assert crashes[0][1].startswith("IndexError at ")


def test_counters_outlive_a_reload_and_go_with_their_check(store: Store) -> None:
    store.agent.count(families.AGENT_SKIPPED_RUNS, check="stores", reason="cut")
    store.agent.count(families.AGENT_LOOP_CRASHES, loop="tick")
    lateness = store.series.histograms.of(families.AGENT_SCHEDULE_LATENESS)
    lateness.observe((("check", "stores"),), 0.004)
    store.configure(spec())
    assert value(store, "probe_agent_skipped_runs_total", check="stores", reason="cut") == 1.0
    late = {"check": "stores", "le": "0.005"}
    assert value(store, "probe_agent_schedule_lateness_seconds_bucket", **late) == 1.0
    store.configure(replace(spec(), checks=spec().checks[1:]))
    assert not series(store, "probe_agent_skipped_runs_total")
    assert not series(store, "probe_agent_schedule_lateness_seconds_bucket")
    assert value(store, "probe_agent_loop_crashes_total", loop="tick") == 1.0


def test_every_series_carries_the_region(store: Store) -> None:
    samples = [line for line in exposed(store).splitlines() if not line.startswith("#")]
    assert samples
    assert all('region="sa-east"' in line for line in samples)
