"""Series of flows and steps, and of the provider, against what was recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.samples import Sample

from probe.model.auth import EarlyRefusal
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import (
    Evidence,
    Failed,
    Inconclusive,
    NoLogin,
    Passed,
    Skipped,
    StepResult,
    Timings,
)
from probe.model.state import Diagnosis, EdgeStatus
from probe.model.target import Edge, FlowKey
from probe.serve import Store
from probe.serve.memory.flows import FORGET_AFTER, INSTANCES
from probe.serve.page.flow_view import flow_view
from probe.serve.series.family import Format
from tests.support.reading import everything, exposed, series, value

from .world import START, filled, flow_result, spec

KEY = FlowKey("developer-cli", "developer-cli", "live", "developer")
DENIED_ALL = Diagnosis("authorization", "why", ("whoami", "apps"), refused=True)


@pytest.fixture
def store() -> Store:
    store = Store("sa-east", started_at=START)
    store.configure(spec())
    return store


def test_the_2023_pattern_names_the_layer_and_shows_the_others_healthy(store: Store) -> None:
    result = flow_result(KEY, START, ("whoami", "apps"))
    store.record_flow(result, DENIED_ALL, EdgeStatus.FAILING, START)
    assert value(store, "probe_flow_diagnosis", layer="authorization", persona="developer") == 1.0
    assert len(series(store, "probe_flow_diagnosis")) == 1
    assert value(store, "probe_flow_up") == 0.0
    assert value(store, "probe_flow_state", state="failing") == 1.0
    assert value(store, "probe_flow_fails_open") == 0.0
    for step, success in {"control": 1.0, "login": 1.0, "whoami": 0.0}.items():
        assert value(store, "probe_step_success", step=step) == success
    assert value(store, "probe_step_status_code", step="whoami") == 500.0
    why = {"phase": "expect", "reason": "status"}
    assert value(store, "probe_step_failures_total", step="apps", **why) == 1.0
    assert value(store, "probe_flow_failures_total", **why) == 1.0
    assert value(store, "probe_http_status_code", check="developer-cli") == 500.0
    assert value(store, "probe_provider_targets_failing", provider="live") == 1.0


def test_a_healthy_flow_blames_no_layer(store: Store) -> None:
    store.record_flow(flow_result(KEY, START), Diagnosis(), EdgeStatus.PASSING, START)
    assert value(store, "probe_flow_diagnosis", layer="none") == 1.0
    assert value(store, "probe_flow_failed_runs_total") == 0.0
    assert value(store, "probe_http_status_code") == 200.0
    assert value(store, "probe_http_version") == 2.0
    assert value(store, "probe_http_ssl") == 1.0
    assert value(store, "probe_failed_due_to_regex") == 0.0
    assert value(store, "probe_http_duration_seconds", phase="processing") == pytest.approx(0.306)
    assert value(store, "probe_flow_token_expiry_timestamp_seconds") == START + 3600.0


def test_the_time_of_the_resolution_is_there_on_every_probe(store: Store) -> None:
    """Also when the answer was known, and when the agent was too late to tell other times."""
    run = flow_result(KEY, START)
    known = tuple(
        replace(step, timings=replace(step.timings, resolve=None, lookup=0.25))
        for step in run.steps
    )
    late = replace(run, steps=known, lag=5.0)
    store.record_flow(late, Diagnosis(), EdgeStatus.PASSING, START)
    assert value(store, "probe_http_duration_seconds", phase="resolve") == 0.25 * len(run.steps)
    assert value(store, "probe_dns_lookup_time_seconds") == 0.25
    assert value(store, "probe_http_duration_seconds", phase="connect") is None


def test_fails_open_is_said_by_itself(store: Store) -> None:
    diagnosis = Diagnosis("authorization", "deny answered 200", ("deny",), fails_open=True)
    store.record_flow(flow_result(KEY, START, ("deny",)), diagnosis, EdgeStatus.FAILING, START)
    assert value(store, "probe_flow_fails_open") == 1.0


def test_a_skipped_step_is_neither_passed_nor_failed(store: Store) -> None:
    run = flow_result(KEY, START)
    skipped = StepResult("apps", "authorization", Skipped(NoLogin("token")))
    run = replace(run, steps=(*run.steps[:-1], skipped))
    store.record_flow(run, Diagnosis(), EdgeStatus.PASSING, START)
    assert value(store, "probe_step_success", step="apps") is None
    assert value(store, "probe_step_skipped", step="apps") == 1.0
    assert value(store, "probe_step_attempts_total", step="apps") == 0.0
    assert value(store, "probe_step_duration_seconds", step="apps") is None


def test_a_missing_secret_is_inconclusive_and_blames_nothing(store: Store) -> None:
    ours = Inconclusive(Failure(Phase.AUTH, Reason.SECRET_MISSING, "env:TOKEN is not set"))
    run = replace(flow_result(KEY, START), outcome=ours, steps=())
    store.record_flow(run, Diagnosis("inconclusive", "ours"), EdgeStatus.UNKNOWN, START)
    assert value(store, "probe_flow_up") is None
    assert value(store, "probe_success") is None
    assert value(store, "probe_flow_diagnosis", layer="inconclusive") == 1.0
    assert value(store, "probe_flow_inconclusive_total", reason="secret_missing") == 1.0
    assert value(store, "probe_provider_targets_failing", provider="live") is None, "nothing seen"


def test_every_attempt_of_a_step_counts_and_one_failed_fails_it(store: Store) -> None:
    run = flow_result(KEY, START)
    again = replace(flow_result(KEY, START, ("apps",)).steps[-1], attempts=2)
    run = replace(run, steps=(*run.steps, again))
    store.record_flow(run, Diagnosis(), EdgeStatus.SUSPECT, START)
    assert value(store, "probe_step_success", step="apps") == 0.0
    assert value(store, "probe_step_attempts_total", step="apps") == 2.0
    assert value(store, "probe_step_failed_attempts_total", step="apps") == 1.0


def test_a_slow_step_is_degraded_not_failed(store: Store) -> None:
    slow = Passed((Failure(Phase.EXPECT, Reason.TOO_SLOW, "2.1 s"),))
    run = flow_result(KEY, START)
    run = replace(run, steps=(*run.steps[:-1], replace(run.steps[-1], outcome=slow)))
    store.record_flow(run, Diagnosis(), EdgeStatus.PASSING, START)
    assert value(store, "probe_step_success", step="apps") == 1.0
    assert value(store, "probe_step_degraded", step="apps") == 1.0
    assert value(store, "probe_flow_degraded") == 1.0


def test_a_slow_login_degrades_the_flow_until_it_is_made_again(store: Store) -> None:
    slow = Passed((Failure(Phase.EXPECT, Reason.TOO_SLOW, "took 8 s"),))
    run = flow_result(KEY, START)
    login = StepResult("cli", "login", slow, Timings(auth=8.0, total=8.0), attempts=1)
    quick = replace(login, outcome=Passed(), timings=Timings(auth=0.1, total=0.1))
    for steps, degraded in (
        ((login, *run.steps), 1.0),
        (run.steps, 1.0),  # a kept token serves
        ((quick, *run.steps), 0.0),
        (run.steps, 0.0),
    ):
        store.record_flow(replace(run, steps=steps), Diagnosis(), EdgeStatus.PASSING, START)
        assert value(store, "probe_flow_degraded") == degraded
        shown = {step.step: step.outcome for step in flow_view(store.flows[KEY]).steps}
        assert (shown.get("cli") == "degraded") == bool(degraded)
    assert value(store, "probe_flow_up") == 1.0


@pytest.mark.parametrize(("kind", "degraded"), [("counted", 0.0), ("degraded", 1.0)])
def test_a_kept_token_that_is_refused_is_counted_and_degrades_by_choice(
    store: Store, kind: EarlyRefusal, degraded: float
) -> None:
    run = flow_result(KEY, START)
    store.record_flow(run, Diagnosis(), EdgeStatus.PASSING, START)
    assert value(store, "probe_flow_early_token_refusals_total") == 0.0
    warned = Passed((Failure(Phase.AUTH, Reason.TOKEN_REFUSED, "a kept token was refused"),))
    last = replace(run.steps[-1], outcome=warned, early_refusal=kind)
    again = replace(run, steps=(*run.steps[:-1], last))
    store.record_flow(again, Diagnosis(), EdgeStatus.PASSING, START)
    assert value(store, "probe_flow_early_token_refusals_total") == 1.0
    assert value(store, "probe_flow_degraded") == degraded
    assert "a kept token was refused" in flow_view(store.flows[KEY]).steps[-1].detail


def test_a_login_that_is_not_asked_again_has_no_duration(store: Store) -> None:
    refused = Failed(Failure(Phase.AUTH, Reason.LOGIN_FAILED, "answered 401"))
    run = flow_result(KEY, START)
    held = StepResult("cli", "login", refused, evidence=Evidence(status=401))
    run = replace(run, steps=(held, *run.steps))
    store.record_flow(run, Diagnosis("login", "why"), EdgeStatus.SUSPECT, START)
    assert value(store, "probe_step_duration_seconds", step="cli") is None
    assert value(store, "probe_step_status_code", step="cli") == 401.0


def test_personas_that_differ_are_a_signal_of_their_own() -> None:
    diverging = filled(targets=0)
    assert value(diverging, "probe_flow_personas_diverge") == 1.0
    agreeing = filled(targets=0, cli_broken=False)
    assert value(agreeing, "probe_flow_personas_diverge") == 0.0
    agreeing.forget([KEY])
    assert value(agreeing, "probe_flow_personas_diverge") is None


def test_failures_are_counted_by_what_answered_within_bounds(store: Store) -> None:
    run = flow_result(KEY, START, ("apps",))
    for number in range(INSTANCES + 10):
        last = replace(run.steps[-1], edge=Edge(f"203.0.113.{number}", 443))
        store.record_flow(
            replace(run, steps=(*run.steps[:-1], last)), DENIED_ALL, EdgeStatus.FAILING, START
        )
    apps = {"step": "apps", "header": "address"}
    name = "probe_step_instance_failed_attempts_total"
    assert value(store, name, instance="203.0.113.0:443", **apps) == 1.0
    assert value(store, name, instance="other", **apps) == 10.0
    assert len(series(store, name, **apps)) == INSTANCES + 1
    by_header = {"step": "apps", "header": "x-cluster", "instance": "io-7"}
    assert value(store, name, **by_header) == float(INSTANCES + 10)


def test_what_answers_no_more_makes_room_for_what_answers_now(store: Store) -> None:
    run = flow_result(KEY, START, ("apps",))
    apps = {"step": "apps", "header": "address"}
    name = "probe_step_instance_attempts_total"
    for number in range(2 * INSTANCES):
        last = replace(run.steps[-1], edge=Edge(f"203.0.113.{number}", 443))
        at = START + number * FORGET_AFTER / 8
        store.record_flow(
            replace(run, at=at, steps=(*run.steps[:-1], last)),
            DENIED_ALL,
            EdgeStatus.FAILING,
            START,
        )
    assert value(store, name, instance="other", **apps) is None
    assert value(store, name, instance="203.0.113.0:443", **apps) is None
    assert value(store, name, instance=f"203.0.113.{2 * INSTANCES - 1}:443", **apps) == 1.0
    assert len(series(store, name, **apps)) == 9


def test_bodies_are_kept_of_failed_steps_only(store: Store) -> None:
    run = flow_result(KEY, START, ("apps",))
    store.record_flow(run, DENIED_ALL, EdgeStatus.FAILING, START)
    bodies = {step.step: step.evidence.body for step in store.flows[KEY].last.steps}
    assert bodies["apps"]
    assert not bodies["login"]


def test_the_trace_id_is_an_exemplar_in_openmetrics_only(store: Store) -> None:
    run = flow_result(KEY, START)
    store.record_flow(run, Diagnosis(), EdgeStatus.PASSING, START)
    trace = run.steps[0].evidence.trace_id
    assert f'# {{trace_id="{trace}"}}' in exposed(store, Format.OPENMETRICS)
    assert trace not in exposed(store, Format.TEXT)


def test_the_provider_counts_edges_and_targets_apart() -> None:
    """2 of 4 edges fail for 9 of 30 targets: 18 pairs, which neither number is."""
    store = filled()
    own = {
        sample.name: sample.value for sample in everything(store) if _is(sample, provider="cdn-b")
    }
    numbers = {
        "probe_provider_edges": 4.0,
        "probe_provider_edges_failing": 2.0,
        "probe_provider_targets": 30.0,
        "probe_provider_targets_failing": 9.0,
        "probe_provider_targets_failing_ratio": 0.3,
        "probe_provider_failing_since_timestamp_seconds": START + 22.0,
        "probe_provider_failed_attempts_total": 72.0,
        "probe_provider_targets_failing_by_reason": 9.0,
        "probe_provider_failures_total": 72.0,
    }
    assert numbers.items() <= own.items()
    other = {s.name: s.value for s in everything(store) if _is(s, provider="cdn-a")}
    assert other["probe_provider_targets_failing"] == 0.0
    assert "probe_provider_failing_since_timestamp_seconds" not in other


def _is(sample: Sample, provider: str) -> bool:
    return sample.name.startswith("probe_provider") and sample.labels["provider"] == provider
