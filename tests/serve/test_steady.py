"""Runs that pass as before take a short way, which ends in the same place as writing all anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import (
    Failed,
    FlowResult,
    Missing,
    Passed,
    Skipped,
    StepResult,
    outcome_of,
)
from probe.model.state import Diagnosis, EdgeStatus
from probe.model.target import Edge, FlowKey
from probe.serve import Store
from probe.serve.series.family import Format
from probe.serve.series.tables import Series

from .world import START, flow_result, spec

KEYS = [FlowKey("developer-cli", 'b"\\\n.example', "cdn-a", persona) for persona in ("", "second")]
SLOW = Failure(Phase.EXPECT, Reason.TOO_SLOW, "1 s")
SECONDS = st.floats(0, 100)
Change = Callable[[StepResult], StepResult]


def _timed(**seconds: Any) -> Change:
    return lambda step: replace(step, timings=replace(step.timings, **seconds))


def _seen(**facts: Any) -> Change:
    return lambda step: replace(step, evidence=replace(step.evidence, **facts))


CHANGES: tuple[Change, ...] = (
    *(_timed(**{phase: None}) for phase in ("resolve", "connect", "tls", "send", "receive")),
    _timed(wait=None, send=None),
    _timed(auth=0.25),
    _timed(lag=0.5),
    _timed(lag=50.0),
    _timed(total=7.5),
    _seen(status=204),
    _seen(status=None, http_version=None, content_length=None, body_size=None, redirects=None),
    _seen(http_version=1.1, content_length=-1, body_size=77, redirects=2),
    _seen(request="GET http://platform.example/"),
    lambda step: replace(step, outcome=Passed((SLOW,))),
    lambda step: replace(step, outcome=Skipped(Missing("id"))),
    lambda step: replace(step, outcome=Failed(replace(SLOW, reason=Reason.REGEX))),
    lambda step: replace(step, handshake=None),
    lambda step: replace(step, edge=None),
    lambda step: replace(step, edge=Edge("2001:db8::1", 443)),
    lambda step: replace(step, early_refusal="degraded"),
    lambda step: replace(step, attempts=0),
    lambda step: replace(step, step="another"),
)


def _run(key: FlowKey, change: Change, place: int | None) -> FlowResult:
    """A run in which one step, or each, is changed."""
    base = flow_result(key, START)
    steps = tuple(
        change(step) if place in (None, at) else step for at, step in enumerate(base.steps)
    )
    failures = tuple(step.outcome.failure for step in steps if isinstance(step.outcome, Failed))
    lag = max(step.timings.lag for step in steps)
    return replace(base, steps=steps, outcome=outcome_of(failures), lag=lag)


@st.composite
def runs(draw: st.DrawFn) -> FlowResult:
    change = draw(st.sampled_from(CHANGES)) if draw(st.booleans()) else _timed(total=2.0)
    return replace(
        _run(draw(st.sampled_from(KEYS)), change, draw(st.sampled_from([None, 0, 1]))),
        seconds=draw(SECONDS),
        token_expires_at=draw(st.sampled_from([None, START, START, START + 60.0])),
    )


STATUSES = st.sampled_from([*[EdgeStatus.PASSING] * 9, *EdgeStatus])
DIAGNOSES = st.sampled_from([*[Diagnosis()] * 6, Diagnosis("tls", "it"), Diagnosis(refused=True)])
EVENTS = st.sampled_from(["", "", "", "", "expect", "bound", "sweep"])
HISTORIES = st.lists(st.tuples(runs(), STATUSES, DIAGNOSES, EVENTS), min_size=2, max_size=12)


@settings(max_examples=100, deadline=None, report_multiple_bugs=False)
@given(history=HISTORIES)
def test_every_run_leaves_what_writing_all_anew_would_give(
    history: list[tuple[FlowResult, EdgeStatus, Diagnosis, str]],
) -> None:
    now, bounds = 0.0, [0.1, 1.0]
    store = Store("sa-east", started_at=START, clock=lambda: now, wall=lambda: START)
    store.configure(spec())
    for result, status, diagnosis, event in history:
        if event == "expect":
            store.expect(result.key, 30.0)
        elif event == "bound":
            bounds.reverse()
            store.series.configure(store.checks, bounds[0])
        elif event == "sweep":
            now += 100.0
            list(store.sweep())
        store.record_flow(result, diagnosis, status, START)
        assert _of(store.series, result) == _of(_anew(store, result), result)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", [None, 0, 1])
def test_each_change_is_written_when_it_comes_and_when_it_goes(
    change: Change, place: int | None
) -> None:
    store = Store("sa-east", started_at=START)
    store.configure(spec())
    calm, changed = flow_result(KEYS[0], START), _run(KEYS[0], change, place)
    for result in (calm, calm, changed, changed, calm, calm):
        store.record_flow(result, Diagnosis(), EdgeStatus.PASSING, START)
        assert _of(store.series, result) == _of(_anew(store, result), result)


def test_a_run_that_passes_as_before_renders_nothing() -> None:
    store = Store("sa-east", started_at=START)
    store.configure(spec())
    store.record_flow(flow_result(KEYS[0], START), Diagnosis(), EdgeStatus.PASSING, START)
    later = replace(flow_result(KEYS[0], START + 1.0), seconds=0.7)
    with patch.object(Series, "flow") as flow, patch.object(Series, "target") as target:
        store.record_flow(later, Diagnosis(), EdgeStatus.PASSING, START)
    assert not flow.called
    assert not target.called


def _anew(store: Store, result: FlowResult) -> Series:
    anew = Series("sa-east")
    anew.configure(store.checks, store.series.lag_bound)
    anew.flow(store.flows[result.key])
    (target,) = store.targets.values()
    anew.target(target)
    anew.personas(target, result.key)
    return anew


def _of(series: Series, result: FlowResult) -> list[bytes]:
    """The series of the flow that ran, and of its target."""
    tables, persona = series.tables, f'persona="{result.key.persona}"'.encode()
    own = [*tables.flow.blocks(Format.TEXT), *tables.step.blocks(Format.TEXT)]
    shared = [*tables.target.blocks(Format.TEXT), *tables.personas.blocks(Format.TEXT)]
    return [*[line for line in _lines(own) if persona in line], *_lines(shared)]


def _lines(blocks: list[bytes]) -> list[bytes]:
    return sorted(line for line in b"".join(blocks).split(b"\n") if not line.startswith(b"#"))
