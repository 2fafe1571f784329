"""Which layer to blame for a flow's failures: pure, by rules that are asked in order.

The idea is the differential: calls that share everything but one layer tell that layer from the
others. A control call without credentials tells the router, a call that must be refused tells
whether authorization still decides, a login tells the identity service, and authorized calls to
several backends tell what they have in common from what each has alone.

The last `WINDOW` runs are looked at together, because an outage may hit only a part of the
calls: one run then shows a random half of the picture. Blame needs a failure in the latest run,
or failures of that partial kind in two runs before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probe.model.failure import Reason
from probe.model.flow import ApiCheck, Persona
from probe.model.result import Failed, FlowResult, Inconclusive, Outcome, Passed
from probe.model.state import Diagnosis
from probe.state.diagnosis.evidence import denials, failing_runs, lingers, must_be_refused, observe
from probe.state.diagnosis.rules import EITHER, INCONCLUSIVE, RATE_LIMIT, RULES

__all__ = [
    "EITHER",
    "INCONCLUSIVE",
    "RATE_LIMIT",
    "WINDOW",
    "denials",
    "diagnose",
    "must_be_refused",
    "personas_differ",
]

WINDOW = 3
"""Runs that are looked at together."""


def diagnose(check: ApiCheck, persona: Persona | None, runs: Sequence[FlowResult]) -> Diagnosis:
    """Name the layer to blame.

    Args:
        check: the flow as configured: roles, layers, backends.
        persona: who ran it; None for the check's own credentials.
        runs: its latest runs, oldest first; only the last `WINDOW` count. Of one `FlowKey`.
    """
    window = runs[-WINDOW:]
    if not window:
        return Diagnosis()
    if not any(isinstance(step.outcome, Failed) for run in window for step in run.steps):
        return _ours(window[-1])  # nearly every run: only failures make marks that rules ask for
    since, latest = observe(check, persona, window)
    if not latest.failing and not (
        failing_runs(check, persona, window) > 1 and lingers(since, latest)
    ):
        return _ours(window[-1])
    for rule in RULES:
        found = rule(since)
        if found is not None:
            return found
    return _ours(window[-1])


def _ours(run: FlowResult) -> Diagnosis:
    """Nothing failed: healthy, unless the fault is ours."""
    for step in run.steps:
        if isinstance(step.outcome, Inconclusive):
            if step.outcome.failure.reason is Reason.REFUSAL_UNCLEAR:
                why = f"nothing can be said yet: {step.step}: {step.outcome.failure.detail}"
                return Diagnosis(INCONCLUSIVE, why)
            why = f"{step.step}: {step.outcome.failure.reason}"
            return Diagnosis(INCONCLUSIVE, f"nothing can be said, the fault is ours: {why}")
    if isinstance(run.outcome, Inconclusive):
        return Diagnosis(INCONCLUSIVE, f"nothing can be said: {run.outcome.failure.detail}")
    return Diagnosis()


def personas_differ(latest: Mapping[str, Outcome]) -> bool:
    """Tell whether one flow fails for some identities and works for others.

    Args:
        latest: the outcome of each persona's latest run of one flow, target and provider. An
            inconclusive one says nothing about an identity.
    """
    outcomes = latest.values()
    return any(isinstance(one, Failed) for one in outcomes) and any(
        isinstance(one, Passed) for one in outcomes
    )
