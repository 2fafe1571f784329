"""From records to samples of one flow or one step. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from probe.model.failure import Reason
from probe.model.result import Failed, Inconclusive, Passed, Skipped, StepResult
from probe.serve.records import TROUBLED, FlowRecord, StepRecord
from probe.serve.series import families
from probe.serve.series.edge_samples import NONE, seen, tallied, verdict
from probe.serve.series.family import Sample, clean
from probe.state.diagnosis import personas_differ


def flow_samples(record: FlowRecord, lag_bound: float) -> list[Sample]:
    """The series of one flow, its steps' apart."""
    last, tally, diagnosis = record.last, record.tally, record.diagnosis
    samples: list[Sample] = [
        (families.FLOW_STATE, 1.0, (("state", record.status.value),)),
        (families.FLOW_RUNS, float(tally.attempts), ()),
        (families.FLOW_FAILED_RUNS, float(tally.failed), ()),
        *tallied(tally, families.FLOW_FAILURES, families.FLOW_INCONCLUSIVE),
        (families.FLOW_EARLY_TOKEN_REFUSALS, float(record.early_refusals), ()),
    ]
    if record.unseen is None or diagnosis.layer:
        samples.append((families.FLOW_DIAGNOSIS, 1.0, (("layer", clean(diagnosis.layer or NONE)),)))
    if diagnosis.fails_open or (diagnosis.refused and record.unseen is None):
        samples.append((families.FLOW_FAILS_OPEN, float(diagnosis.fails_open), ()))
    up = verdict((last.outcome,))
    if up is not None and seen(up, record.unseen):
        samples.append((families.FLOW_UP, up, ()))
    if record.status in TROUBLED:
        samples.append((families.FLOW_STATE_SINCE, record.since, ()))
    if last.token_expires_at is not None:
        samples.append((families.FLOW_TOKEN_EXPIRY, last.token_expires_at, ()))
    if record.unseen is not None:
        return [*samples, (families.FLOW_UNSEEN_SINCE, record.unseen, ())]
    if up is not None:
        worse = any(map(degraded, last.steps)) or bool(record.slow_logins)
        samples.append((families.FLOW_DEGRADED, float(worse), ()))
    if last.lag <= lag_bound:
        samples.append((families.FLOW_DURATION, last.seconds, ()))
    return samples


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
    samples: list[Sample] = [
        (families.STEP_ATTEMPTS, float(tally.attempts), ()),
        (families.STEP_FAILED_ATTEMPTS, float(tally.failed), ()),
    ]
    samples += tallied(tally, families.STEP_FAILURES, families.STEP_INCONCLUSIVE)
    success = verdict(result.outcome for result in latest)
    if success is not None and seen(success, unseen):
        samples.append((families.STEP_SUCCESS, success, ()))
    shown = worst_of(latest)
    if unseen is not None and success != 0.0:
        return samples
    if shown is not None and shown.evidence.status is not None:
        samples.append((families.STEP_STATUS_CODE, float(shown.evidence.status), ()))
    if unseen is not None:
        return samples
    if latest and all(isinstance(result.outcome, Skipped) for result in latest):
        samples.append((families.STEP_SKIPPED, 1.0, ()))
    if success == 1.0 and any(map(degraded, latest)):
        samples.append((families.STEP_DEGRADED, 1.0, ()))
    durations = [
        result.timings.total
        for result in latest
        if result.attempts and not isinstance(result.outcome, Skipped)
        if result.timings.lag <= lag_bound
    ]
    if durations:
        samples.append((families.STEP_DURATION, max(durations), ()))
    return samples


def worst_of(results: Iterable[StepResult]) -> StepResult | None:
    """The first failed result, else the last that ran."""
    last = None
    for result in results:
        if isinstance(result.outcome, Failed):
            return result
        if not isinstance(result.outcome, Skipped):
            last = result
    return last
