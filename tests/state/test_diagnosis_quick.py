"""The short way of a diagnosis, for runs without failures, is the long way's answer."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import FlowResult, Inconclusive, NoLogin, Passed, Skipped, StepOutcome
from probe.state.diagnosis.evidence import failing_runs, observe

from . import diagnosis_world as w

OURS = Inconclusive(Failure(Phase.AUTH, Reason.SECRET_MISSING))
OUTCOMES: st.SearchStrategy[StepOutcome] = st.sampled_from(
    [Passed(), OURS, Skipped(NoLogin("token"))]
)


@st.composite
def runs_without_failure(draw: st.DrawFn) -> list[FlowResult]:
    whole = w.run()
    return [
        replace(whole, steps=tuple(replace(s, outcome=draw(OUTCOMES)) for s in whole.steps))
        for _ in range(draw(st.integers(1, 3)))
    ]


@given(runs_without_failure())
def test_no_rule_is_asked_about_runs_without_failures(runs: list[FlowResult]) -> None:
    _, latest = observe(w.CHECK, None, runs)
    assert not latest.failing
    assert failing_runs(w.CHECK, None, runs) == 0
