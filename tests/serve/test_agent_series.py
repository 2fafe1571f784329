"""What the agent says of itself."""

from __future__ import annotations

import pytest

from probe.serve import Store
from probe.serve.memory.agent_metrics import Source
from tests.support.reading import exposed, series, value

from .world import START, spec


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
    assert value(store, "probe_agent_missed_runs_total", check="stores") == 0.0


def test_a_failed_reload_keeps_hash_and_time_of_the_running_configuration(store: Store) -> None:
    store.agent.reloaded(success=True, at=START, digest="aa")
    store.agent.reloaded(success=False, at=START + 60, problem="12 problems")
    assert value(store, "probe_agent_config_last_reload_success") == 0.0
    name = "probe_agent_config_last_reload_success_timestamp_seconds"
    assert value(store, name) == START
    assert value(store, "probe_agent_config_info", digest="aa", region="sa-east") == 1.0
    assert "12 problems" not in exposed(store)


def test_an_ill_vantage_names_its_causes_while_it_is_ill(store: Store) -> None:
    store.agent.vantage(healthy=False, causes=("clock", "dns"))
    assert value(store, "probe_vantage_healthy") == 0.0
    assert value(store, "probe_vantage_illness", cause="clock") == 1.0
    store.agent.vantage(healthy=True)
    assert value(store, "probe_vantage_healthy") == 1.0
    assert not series(store, "probe_vantage_illness")


def test_a_source_with_rejected_entries_is_up_and_counts_them(store: Store) -> None:
    assert not series(store, "probe_agent_discovery_rejected")
    store.agent.discovered(Source("stores", "a.yaml", False, problem="no such file"))
    assert value(store, "probe_agent_discovery_up", source="a.yaml") == 0.0
    assert not series(store, "probe_agent_discovery_rejected"), "nothing was read"
    store.agent.discovered(Source("stores", "a.yaml", True, 2999, 1, START, "a.yaml:3:1: a slip"))
    assert value(store, "probe_agent_discovery_up", source="a.yaml") == 1.0
    assert value(store, "probe_agent_discovery_rejected", source="a.yaml") == 1.0
    store.agent.discovered(Source("stores", "a.yaml", True, 3000, 0, START))
    assert value(store, "probe_agent_discovery_rejected", source="a.yaml") == 0.0


def test_a_source_that_fails_keeps_its_last_answer(store: Store) -> None:
    store.agent.discovered(Source("stores", "a.yaml", True, 3, answered_at=START))
    store.agent.discovered(
        Source("stores", "a.yaml", False, 3, 0, START, "a.yaml:3:1: expected a list of groups")
    )
    assert value(store, "probe_agent_discovery_up", source="a.yaml") == 0.0
    assert value(store, "probe_agent_discovery_targets", source="a.yaml") == 3.0
    name = "probe_agent_discovery_last_success_timestamp_seconds"
    assert value(store, name, list="stores") == START
    store.agent.forget_lists(())
    assert not series(store, "probe_agent_discovery_up")


def test_lateness_lag_missed_skipped_and_in_flight(store: Store) -> None:
    store.agent.started_late("stores", 0.004)
    store.agent.loop_lag(0.001)
    store.agent.missed_run("stores", 2)
    store.agent.skipped_run("stores", "vantage")
    store.agent.in_flight({"stores": 7, "cli": 0})
    late = {"check": "stores", "le": "0.005"}
    assert value(store, "probe_agent_schedule_lateness_seconds_bucket", **late) == 1.0
    assert value(store, "probe_agent_loop_lag_seconds_count") == 1.0
    assert value(store, "probe_agent_missed_runs_total", check="stores") == 2.0
    assert value(store, "probe_agent_skipped_runs_total", reason="vantage") == 1.0
    assert value(store, "probe_agent_in_flight", check="stores") == 7.0
    store.agent.in_flight({"cli": 1})
    assert value(store, "probe_agent_in_flight", check="stores") is None
    assert value(store, "probe_agent_in_flight", check="cli") == 1.0
    assert value(store, "probe_agent_missed_runs_total", check="stores") == 2.0


def test_every_series_carries_the_region(store: Store) -> None:
    samples = [line for line in exposed(store).splitlines() if not line.startswith("#")]
    assert samples
    assert all('region="sa-east"' in line for line in samples)
