"""From records to samples of one flow or one step. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from probe.model.failure import Reason
from probe.model.result import (
    Failed,
    FlowResult,
    Inconclusive,
    Passed,
    Skipped,
    StepResult,
)
from probe.serve.records import FlowRecord, StepRecord
from probe.serve.series import families
from probe.serve.series.edge_samples import NONE, said, state_samples, tallied, verdict
from probe.serve.series.family import Sample, clean, present
from probe.state.diagnosis import personas_differ


def flow_samples(record: FlowRecord, lag_bound: float) -> list[Sample]:
    """The series of one flow, its steps' apart."""
    last, tally, diagnosis = record.last, record.tally, record.diagnosis
    samples = [
        *state_samples(families.FLOW_STATE, families.FLOW_STATE_SINCE, record),
        *tallied(tally, families.FLOW_FAILURES, families.FLOW_INCONCLUSIVE),
    ]
    looked, opened = record.unseen is None, None
    if diagnosis.fails_open or (diagnosis.refused and looked):
        opened = float(diagnosis.fails_open)
    if looked or diagnosis.layer:
        layer = (("layer", clean(diagnosis.layer or NONE)),)
        samples.append((families.FLOW_DIAGNOSIS, 1.0, layer))
    worse = None
    if looked and verdict((last.outcome,)) is not None:
        worse = float(any(map(degraded, last.steps)) or bool(record.slow_logins))
    samples += present(
        (families.FLOW_FAILED_RUNS, tally.failed),
        (families.FLOW_EARLY_TOKEN_REFUSALS, record.early_refusals),
        (families.FLOW_FAILS_OPEN, opened),
        (families.FLOW_UP, said((last.outcome,), record.unseen)),
        (families.FLOW_UNSEEN_SINCE, record.unseen),
        (families.FLOW_DEGRADED, worse),
    )
    return samples + steady_flow_samples(record, lag_bound)


def steady_flow_samples(record: FlowRecord, lag_bound: float) -> list[Sample]:
    """What changes on a flow when one passing run follows another, its steps apart."""
    last = record.last
    timed = record.unseen is None and last.lag <= lag_bound
    return present(
        (families.FLOW_RUNS, record.tally.attempts),
        (families.FLOW_TOKEN_EXPIRY, last.token_expires_at),
        (families.FLOW_DURATION, last.seconds if timed else None),
    )


def steady_flow(before: FlowResult, after: FlowResult) -> bool:
    """Whether both runs passed alike: numbers and times may differ, and be there or not."""
    return (
        isinstance(before.outcome, Passed)
        and before.outcome == after.outcome
        and len(before.steps) == len(after.steps)
        and all(map(_alike, before.steps, after.steps))
    )


def _alike(old: StepResult, new: StepResult) -> bool:
    return (
        isinstance(old.outcome, Passed | Skipped)
        and (old.step, old.layer, old.outcome) == (new.step, new.layer, new.outcome)
        and not (old.early_refusal or new.early_refusal)
        and (old.timings.auth is None) == (new.timings.auth is None)
        and old.handshake == new.handshake
    )


def persona_samples(alike: Iterable[FlowRecord]) -> list[Sample]:
    """How the personas of a flow compare; "alike" is not said of one that nobody looks at."""
    flows = list(alike)
    differ = personas_differ({flow.key.persona: flow.last.outcome for flow in flows})
    unseen = any(flow.unseen is not None for flow in flows)
    if len(flows) < 2 or (unseen and not differ):
        return []
    return [(families.FLOW_PERSONAS_DIVERGE, float(differ), ())]


def degraded(result: StepResult) -> bool:
    """Whether the step was slower than it may be, or met an early refusal that degrades."""
    if result.early_refusal == "degraded":
        return True
    match result.outcome:
        case Passed(warnings=findings) | Failed(others=findings):
            return any(finding.reason is Reason.TOO_SLOW for finding in findings)
        case Inconclusive() | Skipped():
            return False


def step_samples(record: StepRecord, lag_bound: float, unseen: float | None = None) -> list[Sample]:
    """The series of one step; a run may hold several attempts of it.

    Args:
        record: of the step.
        lag_bound: timings with a greater lag are left out.
        unseen: as of the step's flow.
    """
    tally, latest = record.tally, record.latest
    success = said((result.outcome for result in latest), unseen)
    samples = tallied(tally, families.STEP_FAILURES, families.STEP_INCONCLUSIVE) + present(
        (families.STEP_FAILED_ATTEMPTS, tally.failed),
        (families.STEP_SUCCESS, success),
    )
    if unseen is not None:
        shown = worst_of(latest) if success == 0.0 else None
        status = shown.evidence.status if shown is not None else None
        return samples + present(
            (families.STEP_ATTEMPTS, tally.attempts), (families.STEP_STATUS_CODE, status)
        )
    skipped = bool(latest) and all(isinstance(result.outcome, Skipped) for result in latest)
    slow = success == 1.0 and any(map(degraded, latest))
    samples += present(
        (families.STEP_SKIPPED, 1.0 if skipped else None),
        (families.STEP_DEGRADED, 1.0 if slow else None),
    )
    return samples + steady_step_samples(record, lag_bound)


def steady_step_samples(record: StepRecord, lag_bound: float) -> list[Sample]:
    """What changes on a step when one passing run of its flow follows another."""
    shown = worst_of(record.latest)
    durations = [
        result.timings.total
        for result in record.latest
        if result.attempts and not isinstance(result.outcome, Skipped)
        if result.timings.lag <= lag_bound
    ]
    return present(
        (families.STEP_ATTEMPTS, record.tally.attempts),
        (families.STEP_STATUS_CODE, shown.evidence.status if shown is not None else None),
        (families.STEP_DURATION, max(durations, default=None)),
    )


def worst_of(results: Iterable[StepResult]) -> StepResult | None:
    """The first failed result, else the last that ran."""
    last = None
    for result in results:
        if isinstance(result.outcome, Failed):
            return result
        if not isinstance(result.outcome, Skipped):
            last = result
    return last
