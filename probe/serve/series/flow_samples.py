"""From records to samples of one flow or one step. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from probe.model.failure import Reason
from probe.model.result import Failed, Inconclusive, Passed, Skipped, StepResult
from probe.serve.memory.records import TROUBLED, FlowRecord, StepRecord
from probe.serve.series.definitions import BY_NAME
from probe.serve.series.family import Sample
from probe.serve.series.samples import NONE, seen, tallied, verdict
from probe.serve.series.text import clean

_FLOW_UP = BY_NAME["probe_flow_up"]
_FLOW_STATE = BY_NAME["probe_flow_state"]
_FLOW_SINCE = BY_NAME["probe_flow_state_since_timestamp_seconds"]
_FLOW_UNSEEN = BY_NAME["probe_flow_unseen_since_timestamp_seconds"]
_FLOW_DIAGNOSIS = BY_NAME["probe_flow_diagnosis"]
_FLOW_FAILS_OPEN = BY_NAME["probe_flow_fails_open"]
_FLOW_DEGRADED = BY_NAME["probe_flow_degraded"]
_FLOW_DURATION = BY_NAME["probe_flow_duration_seconds"]
_FLOW_TOKEN = BY_NAME["probe_flow_token_expiry_timestamp_seconds"]
_FLOW_RUNS = BY_NAME["probe_flow_runs_total"]
_FLOW_FAILED = BY_NAME["probe_flow_failed_runs_total"]
_FLOW_REFUSED = BY_NAME["probe_flow_early_token_refusals_total"]
_FLOW_FAILURES = BY_NAME["probe_flow_failures_total"]
_FLOW_INCONCLUSIVE = BY_NAME["probe_flow_inconclusive_total"]
_STEP_SUCCESS = BY_NAME["probe_step_success"]
_STEP_SKIPPED = BY_NAME["probe_step_skipped"]
_STEP_DEGRADED = BY_NAME["probe_step_degraded"]
_STEP_STATUS = BY_NAME["probe_step_status_code"]
_STEP_DURATION = BY_NAME["probe_step_duration_seconds"]
_STEP_ATTEMPTS = BY_NAME["probe_step_attempts_total"]
_STEP_FAILED = BY_NAME["probe_step_failed_attempts_total"]
_STEP_FAILURES = BY_NAME["probe_step_failures_total"]
_STEP_INCONCLUSIVE = BY_NAME["probe_step_inconclusive_total"]


def flow_samples(record: FlowRecord, lag_bound: float) -> list[Sample]:
    """The series of one flow, its steps' apart."""
    last, tally, diagnosis = record.last, record.tally, record.diagnosis
    samples: list[Sample] = [
        (_FLOW_STATE, 1.0, (("state", record.status.value),)),
        (_FLOW_RUNS, float(tally.attempts), ()),
        (_FLOW_FAILED, float(tally.failed), ()),
        *tallied(tally, _FLOW_FAILURES, _FLOW_INCONCLUSIVE),
        (_FLOW_REFUSED, float(record.early_refusals), ()),
    ]
    if record.unseen is None or diagnosis.layer:
        samples.append((_FLOW_DIAGNOSIS, 1.0, (("layer", clean(diagnosis.layer or NONE)),)))
    if diagnosis.fails_open or (diagnosis.refused and record.unseen is None):
        samples.append((_FLOW_FAILS_OPEN, float(diagnosis.fails_open), ()))
    up = verdict((last.outcome,))
    if up is not None and seen(up, record.unseen):
        samples.append((_FLOW_UP, up, ()))
    if record.status in TROUBLED:
        samples.append((_FLOW_SINCE, record.since, ()))
    if last.token_expires_at is not None:
        samples.append((_FLOW_TOKEN, last.token_expires_at, ()))
    if record.unseen is not None:
        return [*samples, (_FLOW_UNSEEN, record.unseen, ())]
    if up is not None:
        worse = any(map(degraded, last.steps)) or bool(record.slow_logins)
        samples.append((_FLOW_DEGRADED, float(worse), ()))
    if last.lag <= lag_bound:
        samples.append((_FLOW_DURATION, last.seconds, ()))
    return samples


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
        (_STEP_ATTEMPTS, float(tally.attempts), ()),
        (_STEP_FAILED, float(tally.failed), ()),
    ]
    samples += tallied(tally, _STEP_FAILURES, _STEP_INCONCLUSIVE)
    success = verdict(result.outcome for result in latest)
    if success is not None and seen(success, unseen):
        samples.append((_STEP_SUCCESS, success, ()))
    shown = worst_of(latest)
    if unseen is not None and success != 0.0:
        return samples
    if shown is not None and shown.evidence.status is not None:
        samples.append((_STEP_STATUS, float(shown.evidence.status), ()))
    if unseen is not None:
        return samples
    if latest and all(isinstance(result.outcome, Skipped) for result in latest):
        samples.append((_STEP_SKIPPED, 1.0, ()))
    if success == 1.0 and any(map(degraded, latest)):
        samples.append((_STEP_DEGRADED, 1.0, ()))
    durations = [
        result.timings.total
        for result in latest
        if result.attempts and not isinstance(result.outcome, Skipped)
        if result.timings.lag <= lag_bound
    ]
    if durations:
        samples.append((_STEP_DURATION, max(durations), ()))
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
