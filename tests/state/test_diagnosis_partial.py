"""Failures of only some calls, noise, and what must not matter."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck
from probe.model.result import Failed, FlowResult, Missing, Passed, Skipped, StepResult, Timings
from probe.state.diagnosis import EITHER, RATE_LIMIT, WINDOW, diagnose

from . import diagnosis_world as w
from .diagnosis_world import AUTHORIZED, CHECK, NAMES, Ending, all_of

E500 = w.status(500)


def partial(dice: random.Random, rate: float, attempts: int) -> FlowResult:
    """A run in which each authorized attempt fails with the given probability."""
    healthy = w.run()
    steps: list[StepResult] = []
    for step in healthy.steps:
        if step.step not in AUTHORIZED:
            steps.append(step)
            continue
        for _ in range(attempts):
            ending = E500 if dice.random() < rate else w.OK
            steps.append(w.result(step.step, ending))
    return replace(healthy, steps=tuple(steps))


def named_after(dice: random.Random, attempts: int) -> list[str]:
    """Diagnoses of the first runs after the fault began."""
    runs = [w.run(), w.run()]
    layers = []
    for _ in range(2):
        runs.append(partial(dice, 0.6, attempts))
        layers.append(diagnose(CHECK, None, runs).layer)
    return layers


def test_six_in_ten_calls_failing_is_authorization_within_two_runs() -> None:
    """Three attempts a step all but settle it; with one, six calls are all that is known."""
    dice = random.Random(20230612)
    for attempts, least in ((3, 0.98), (2, 0.96), (1, 0.75)):
        named = [named_after(dice, attempts)[1] for _ in range(200)]
        assert named.count("authorization") >= least * len(named)
        told = named.count("authorization") + named.count(EITHER)
        assert told >= (0.98 if attempts > 1 else 0.85) * len(named)


ONE_HOST = ApiCheck(
    "forge",
    (
        w.step("meta", "control", w.P),
        w.step("whoami", "authorization", w.P, auth=True),
        w.step("repositories", "backend", w.P, auth=True),
        w.step("graphql", "backend", w.P, auth=True),
    ),
    auth=CHECK.auth,
)


def layers_of(check: ApiCheck, sick: tuple[str, ...], rate: float, attempts: int) -> Counter[str]:
    """What is named while each call of some steps fails with a probability, by frequency."""
    dice, named = random.Random(1), Counter[str]()
    runs: deque[FlowResult] = deque(maxlen=WINDOW)
    for _ in range(600):
        steps = [
            w.result(step.step, E500 if step.step in sick and dice.random() < rate else w.OK, check)
            for step in w.run(check=check).steps
            for _ in range(attempts if step.step in sick else 1)
            if step.step != "deny"
        ]
        runs.append(replace(w.run(check=check), steps=tuple(steps)))
        if any(isinstance(step.outcome, Failed) for step in steps):
            named[diagnose(check, None, tuple(runs)).layer] += 1
    return named


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_with_one_host_only_a_part_that_fails_is_laid_at_no_single_door(rate: float) -> None:
    """All that authorized calls share, and all that serves them, is behind the same name."""
    named = layers_of(ONE_HOST, ("whoami", "repositories", "graphql"), rate, 1)
    assert named[EITHER] >= 0.95 * named.total()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_one_of_several_hosts_that_fails_partly_is_never_called_authorization(rate: float) -> None:
    named = layers_of(CHECK, ("whoami", "workspaces"), rate, 3)
    assert set(named) <= {EITHER, "backend"}


@pytest.mark.parametrize(("rate", "least"), [(0.1, 0.6), (0.3, 0.95), (0.6, 0.99)])
def test_authorization_that_fails_partly_is_seen_by_the_second_host(
    rate: float, least: float
) -> None:
    named = layers_of(CHECK, AUTHORIZED, rate, 3)
    assert named["authorization"] >= least * named.total()
    assert named["backend"] <= 0.02 * named.total()


def test_one_step_that_always_fails_is_told_from_its_host_after_three_runs() -> None:
    """The calls beside it pass each time: what they share would not spare them so often."""
    bad = w.run({"graphql": E500}, check=ONE_HOST)
    said = [diagnose(ONE_HOST, None, [bad] * runs) for runs in (1, 2, 3)]
    assert [one.layer for one in said] == [EITHER, EITHER, "backend"]
    assert "look like those of authorization" in said[0].why


def test_all_that_needs_a_token_fails_on_one_host_while_the_rest_works() -> None:
    bad = w.run(all_of(E500, "whoami", "repositories", "graphql"), check=ONE_HOST)
    assert diagnose(ONE_HOST, None, [bad]).layer == "authorization"


def test_a_partial_outage_is_not_over_because_one_run_was_lucky() -> None:
    """Of six calls three failed; that of three more none does is luck of one in eight."""
    half = dict(zip(AUTHORIZED, (E500, w.OK, E500), strict=True))
    other = dict(zip(AUTHORIZED, (w.OK, E500, w.OK), strict=True))
    runs = [w.run(half), w.run(other), w.run()]
    assert diagnose(CHECK, None, runs).layer == "authorization"
    assert diagnose(CHECK, None, [*runs, w.run()]).healthy


def test_a_whole_outage_is_over_with_the_first_good_run() -> None:
    bad = w.run(all_of(E500, *AUTHORIZED))
    assert diagnose(CHECK, None, [bad, bad, w.run()]).healthy


def test_a_single_failure_is_forgotten_with_the_next_good_run() -> None:
    for name in NAMES:
        runs = [w.run(), w.run({name: w.SILENT}), w.run()]
        assert diagnose(CHECK, None, runs).healthy, name


def test_one_backend_that_fails_partly_is_told_from_authorization_by_the_other() -> None:
    """P fails every other call while I answers six times: authorization would not spare it."""
    flaky = replace(w.run(), steps=(
        *w.run().steps[:4],
        *[w.result("whoami", ending) for ending in (E500, w.OK, E500)],
        *[w.result("workspaces", ending) for ending in (E500, E500, w.OK)],
        *[w.result("apps", w.OK) for _ in range(6)],
    ))  # fmt: skip
    assert diagnose(CHECK, None, [flaky]).layer == "backend"


def test_a_step_that_never_ran_in_the_latest_run_keeps_its_backend() -> None:
    skipped = all_of(w.SKIPPED, *AUTHORIZED) | {"login": w.LOGIN_DOWN}
    assert diagnose(CHECK, None, [w.run(), w.run(skipped)]).layer == "login"


# ------------------------------------------------------------------ properties

FINE = st.sampled_from([w.OK, w.SKIPPED])
BAD = st.sampled_from(
    [
        *(E500, w.status(403), w.status(401), w.status(502), w.DNS, w.TLS, w.SILENT, w.CUT),
        *(w.WRONG_BODY, w.LOGIN_DOWN, w.LOGIN_HTML, w.LIMITED, w.ROUTING),
    ]
)
OURS = st.sampled_from([w.ours(reason) for reason in (Reason.SECRET_MISSING, Reason.CLOCK_OFF)])


def runs_of(*endings: st.SearchStrategy[Ending]) -> st.SearchStrategy[list[FlowResult]]:
    one = st.fixed_dictionaries({name: st.one_of(*endings) for name in NAMES})
    return st.lists(one.map(w.run), min_size=1, max_size=WINDOW + 2)


@given(runs_of(FINE))
def test_without_a_failing_step_nobody_is_blamed(runs: list[FlowResult]) -> None:
    assert diagnose(CHECK, None, runs).healthy


@given(runs_of(FINE, OURS))
def test_our_own_faults_blame_nobody_else(runs: list[FlowResult]) -> None:
    diagnosis = diagnose(CHECK, None, runs)
    assert diagnosis.layer in {"", "inconclusive"}
    assert not diagnosis.fails_open


@given(runs_of(FINE, BAD, OURS))
def test_a_diagnosis_is_in_known_words_and_blames_steps_that_failed(
    runs: list[FlowResult],
) -> None:
    diagnosis = diagnose(CHECK, None, runs)
    known = {"", "router", "inconclusive", EITHER, RATE_LIMIT, *CHECK.layers}
    assert diagnosis.layer in known
    failed = {
        step.step
        for run in runs[-WINDOW:]
        for step in run.steps
        if isinstance(step.outcome, Failed)
    }
    assert set(diagnosis.steps) <= failed
    if failed and any(isinstance(s.outcome, Failed) for s in runs[-1].steps):
        assert not diagnosis.healthy, "a failure in the latest run is never kept quiet"


@given(runs_of(FINE, BAD, OURS), st.randoms(use_true_random=False))
def test_what_is_irrelevant_changes_nothing(runs: list[FlowResult], dice: random.Random) -> None:
    """Order of steps, timings, warnings, times of day, older runs, and steps never run."""
    expected = diagnose(CHECK, None, runs)
    warning = Failure(Phase.EXPECT, Reason.TOO_SLOW, "x")

    def disguised(run: FlowResult) -> FlowResult:
        steps = [
            replace(
                step,
                timings=Timings(total=dice.random()),
                outcome=Passed((warning,)) if isinstance(step.outcome, Passed) else step.outcome,
            )
            for step in run.steps
        ]
        steps.append(StepResult("tidy", "backend", Skipped(Missing("id"))))
        return replace(run, at=dice.random(), seconds=dice.random(), steps=tuple(steps))

    older = [w.run(all_of(E500, *AUTHORIZED))] * 3
    window = [disguised(run) for run in runs[-WINDOW:]]
    found = diagnose(CHECK, None, [*older[: 3 * (len(window) == WINDOW)], *window])
    assert (found.layer, found.fails_open, set(found.steps)) == (
        expected.layer,
        expected.fails_open,
        set(expected.steps),
    )


@given(runs_of(FINE, BAD, OURS))
def test_passing_steps_without_credentials_of_another_layer_change_nothing(
    runs: list[FlowResult],
) -> None:
    extra = w.step("free", "edge", "other.example")
    check = replace(CHECK, steps=(*CHECK.steps, extra))
    more = [replace(run, steps=(*run.steps, w.result("free", w.OK, check))) for run in runs]
    before, after = diagnose(CHECK, None, runs), diagnose(check, None, more)
    assert (before.layer, before.steps) == (after.layer, after.steps)
