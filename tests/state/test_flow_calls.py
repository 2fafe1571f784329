"""What regular runs say to an investigation, and what it may not take from them."""

from __future__ import annotations

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Expect, RequestTemplate, Step
from probe.model.result import (
    Failed,
    FlowResult,
    Outcome,
    OutOfTime,
    Passed,
    Skipped,
    StepResult,
    Timings,
)
from probe.model.target import FlowKey
from probe.state.causes.calls import calls_of
from probe.state.causes.flow_recent import RecentCalls

KEY = FlowKey("cli", "cli", "api", "")


def step(name: str, *, cleanup: bool = False) -> Step:
    request = RequestTemplate("GET", f"https://p.example/{name}")
    return Step(name, "backend", request, Expect(), cleanup=cleanup)


CHECK = ApiCheck(
    "cli", (step("first"), step("second"), step("tidy", cleanup=True)), timeout=3.0, interval=6.0
)
PASSED = Passed()
WRONG = Failed(Failure(Phase.EXPECT, Reason.STATUS, "answered 500"))


def result(name: str, outcome: Outcome | Skipped, seconds: float = 0.1) -> StepResult:
    return StepResult(name, "backend", outcome, timings=Timings(total=seconds))


def run(at: float, *results: StepResult, seconds: float = 2.0) -> FlowResult:
    return FlowResult(KEY, at, PASSED, results, seconds=seconds)


def hung(phase: Phase = Phase.WAIT) -> Failed:
    return Failed(Failure(phase, Reason.TIMEOUT, "no answer"))


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (result("second", hung(), 1.2), ["first"]),
        (result("second", hung(), 3.0), ["first", "second"]),
        (result("second", hung(Phase.CONNECT), 1.2), ["first"]),
        # A resolver's limit, and an answer, are not the run's end.
        (result("second", hung(Phase.RESOLVE), 1.2), ["first", "second"]),
        (result("second", WRONG, 1.2), ["first", "second"]),
    ],
)
def test_a_call_that_the_end_of_the_run_cut_off_was_not_made(
    last: StepResult, told: list[str]
) -> None:
    made = run(0.0, result("first", PASSED), last, result("tidy", PASSED))
    assert [seen.call.step for seen in calls_of(made, CHECK, None)] == [*told, "tidy"]


def test_a_call_before_others_was_not_cut_off_by_the_end() -> None:
    made = run(0.0, result("first", hung(), 1.2), result("second", PASSED))
    assert [seen.call.step for seen in calls_of(made, CHECK, None)] == ["first", "second"]
    rest = Skipped(OutOfTime())
    made = run(0.0, result("first", hung(), 1.2), result("second", rest))
    assert not list(calls_of(made, CHECK, None))


def test_what_passed_in_runs_that_began_before_the_first_failed_one_ended_is_not_counted() -> None:
    recent, failing = RecentCalls(), run(10.0, result("first", WRONG))
    other = KEY._replace(persona="other")
    recent.watch("cli", 0.0)
    recent.saw(failing, CHECK, None)
    for at, outcome in ((9.0, WRONG), (11.0, PASSED), (11.5, WRONG), (12.0, PASSED)):
        made = FlowResult(other, at, outcome, (result("second", outcome),), seconds=0.5)
        recent.saw(made, CHECK, None)
    broken = recent.broken(KEY, 10.0)
    assert broken == 12.0
    seen = [(one.call.step, one.mark.bad) for one in recent.since([KEY, other], 10.0, broken)]
    assert seen == [("first", True), ("second", True), ("second", False)]


def test_runs_of_checks_without_a_suspicion_are_not_remembered() -> None:
    recent = RecentCalls()
    recent.saw(run(10.0, result("first", WRONG)), CHECK, None)
    assert not list(recent.since([KEY], 0.0, 0.0))
    recent.watch("cli", 0.0)
    recent.saw(run(10.0, result("first", WRONG)), CHECK, None)
    assert list(recent.since([KEY], 0.0, 0.0))
    recent.tidy(301.0)
    assert not list(recent.since([KEY], 0.0, 0.0))
