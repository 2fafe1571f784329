"""From records to samples of one edge, one name resolution, one flow, one step. Pure.

What was not measured by the latest attempt gives no sample. Two things are beliefs rather than
measurements and stay between attempts: the confirmed state, and counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from probe.model.failure import Reason
from probe.model.result import (
    CertificateFacts,
    Failed,
    Handshake,
    Inconclusive,
    Passed,
    Skipped,
    StepOutcome,
    StepResult,
    TlsResult,
)
from probe.serve.definitions import BY_NAME
from probe.serve.family import Family, Sample
from probe.serve.records import (
    TROUBLED,
    EdgeRecord,
    FlowRecord,
    ResolveRecord,
    StepRecord,
    Tally,
    Why,
)
from probe.serve.text import clean

_EDGE_UP = BY_NAME["probe_edge_up"]
_EDGE_STATE = BY_NAME["probe_edge_state"]
_EDGE_SINCE = BY_NAME["probe_edge_state_since_timestamp_seconds"]
_EDGE_ATTEMPTS = BY_NAME["probe_edge_attempts_total"]
_EDGE_FAILED = BY_NAME["probe_edge_failed_attempts_total"]
_EDGE_FAILURES = BY_NAME["probe_edge_failures_total"]
_EDGE_INCONCLUSIVE = BY_NAME["probe_edge_inconclusive_total"]
_EDGE_WARNING = BY_NAME["probe_edge_warning"]
_EDGE_CONNECT = BY_NAME["probe_edge_connect_seconds"]
_EDGE_HANDSHAKE = BY_NAME["probe_edge_handshake_seconds"]
_EDGE_NOT_AFTER = BY_NAME["probe_edge_certificate_not_after_timestamp_seconds"]
_EDGE_CERTIFICATE = BY_NAME["probe_edge_certificate_info"]
_EDGE_TLS = BY_NAME["probe_edge_tls_info"]
_EDGE_MINORITY = BY_NAME["probe_edge_certificate_minority"]
_RESOLVE_SUCCESS = BY_NAME["probe_resolve_success"]
_RESOLVE_SECONDS = BY_NAME["probe_resolve_seconds"]
_RESOLVE_EDGES = BY_NAME["probe_resolve_edges"]
_RESOLVE_SKIPPED = BY_NAME["probe_resolve_skipped_ipv6_edges"]
_RESOLVE_ATTEMPTS = BY_NAME["probe_resolve_attempts_total"]
_RESOLVE_FAILURES = BY_NAME["probe_resolve_failures_total"]
_FLOW_UP = BY_NAME["probe_flow_up"]
_FLOW_STATE = BY_NAME["probe_flow_state"]
_FLOW_SINCE = BY_NAME["probe_flow_state_since_timestamp_seconds"]
_FLOW_DIAGNOSIS = BY_NAME["probe_flow_diagnosis"]
_FLOW_FAILS_OPEN = BY_NAME["probe_flow_fails_open"]
_FLOW_DEGRADED = BY_NAME["probe_flow_degraded"]
_FLOW_DURATION = BY_NAME["probe_flow_duration_seconds"]
_FLOW_TOKEN = BY_NAME["probe_flow_token_expiry_timestamp_seconds"]
_FLOW_RUNS = BY_NAME["probe_flow_runs_total"]
_FLOW_FAILED = BY_NAME["probe_flow_failed_runs_total"]
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

NONE = "none"
"""Label value for a layer when there is none to blame: an empty label would not exist."""


def verdict(outcomes: Iterable[StepOutcome]) -> float | None:
    """0 when any failed, 1 when any passed and none is inconclusive, None when unknown."""
    seen: float | None = None
    blind = False
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            return 0.0
        if isinstance(outcome, Passed):
            seen = 1.0
        elif isinstance(outcome, Inconclusive):
            blind = True
    return None if blind else seen


def edge_samples(record: EdgeRecord, lag_bound: float) -> list[Sample]:
    """The series of one edge."""
    last, tally = record.last, record.tally
    samples: list[Sample] = [
        (_EDGE_STATE, 1.0, (("state", record.status.value),)),
        (_EDGE_ATTEMPTS, float(tally.attempts), ()),
        (_EDGE_FAILED, float(tally.failed), ()),
    ]
    up = verdict((last.outcome,))
    if up is not None:
        samples.append((_EDGE_UP, up, ()))
    if record.status in TROUBLED:
        samples.append((_EDGE_SINCE, record.since, ()))
    if tally.failures or tally.inconclusive:
        samples += _tallied(tally, _EDGE_FAILURES, _EDGE_INCONCLUSIVE)
    if isinstance(last.outcome, Passed):
        # Two findings may share phase and reason; a series exists once.
        whys = dict.fromkeys((w.phase, w.reason) for w in last.outcome.warnings)
        samples += [(_EDGE_WARNING, 1.0, _labels_of(why)) for why in whys]
    samples += _timings(last, lag_bound)
    if last.handshake is not None:
        samples += _handshake(last.handshake)
    if record.minority:
        samples.append((_EDGE_MINORITY, 1.0, ()))
    return samples


def steady_edge_samples(record: EdgeRecord, lag_bound: float) -> list[Sample]:
    """What changes on an edge when one passing attempt follows another."""
    attempts = (_EDGE_ATTEMPTS, float(record.tally.attempts), ())
    return [attempts, *_timings(record.last, lag_bound)]


def steady(before: TlsResult, after: TlsResult, lag_bound: float) -> bool:
    """Whether both passed alike: the same facts, the same phases measured."""
    if not isinstance(before.outcome, Passed) or before.outcome != after.outcome:
        return False
    old, new = before.timings, after.timings
    if (
        (old.lag <= lag_bound) != (new.lag <= lag_bound)
        or (old.connect is None) != (new.connect is None)
        or (old.tls is None) != (new.tls is None)
    ):
        return False
    return before.edge == after.edge and _alike(before.handshake, after.handshake)


def _alike(before: Handshake | None, after: Handshake | None) -> bool:
    """Whether two handshakes say the same, cheaply: chains are compared by identity first."""
    if before is None or after is None:
        return before is after
    return before is after or (
        before.version == after.version
        and before.cipher == after.cipher
        and before.group == after.group
        and before.alpn == after.alpn
        and before.ocsp == after.ocsp
        and before.verified_not_after == after.verified_not_after
        and (before.chain is after.chain or before.chain == after.chain)
    )


def _timings(last: TlsResult, lag_bound: float) -> list[Sample]:
    samples: list[Sample] = []
    if last.timings.lag <= lag_bound:
        if last.timings.connect is not None:
            samples.append((_EDGE_CONNECT, last.timings.connect, ()))
        if last.timings.tls is not None and last.handshake is not None:
            samples.append((_EDGE_HANDSHAKE, last.timings.tls, ()))
    return samples


def _handshake(handshake: Handshake) -> list[Sample]:
    agreed = (
        ("alpn", clean(handshake.alpn or NONE)),
        ("cipher", clean(handshake.cipher)),
        ("group", clean(handshake.group or "unknown")),
        ("ocsp", clean(handshake.ocsp or NONE)),
        ("version", clean(handshake.version)),
    )
    samples: list[Sample] = [(_EDGE_TLS, 1.0, agreed)]
    leaf = handshake.leaf
    if leaf is not None:
        samples.append((_EDGE_NOT_AFTER, leaf.not_after, ()))
        samples.append((_EDGE_CERTIFICATE, 1.0, _certificate(leaf)))
    return samples


def _certificate(leaf: CertificateFacts) -> tuple[tuple[str, str], ...]:
    return (
        ("fingerprint_sha256", leaf.fingerprint_sha256),
        ("issuer", clean(leaf.issuer)),
        ("key", clean(leaf.key)),
        ("serial", leaf.serial),
    )


def resolve_samples(record: ResolveRecord) -> list[Sample]:
    """The series of one name resolution; none for fixed addresses, which ask nobody."""
    resolution = record.resolution
    if record.attempts == 0:
        return []
    samples: list[Sample] = [
        (_RESOLVE_EDGES, float(len(resolution.edges)), ()),
        (_RESOLVE_ATTEMPTS, float(record.attempts), ()),
    ]
    if resolution.failure is None or not resolution.failure.ours:
        samples.append((_RESOLVE_SUCCESS, float(resolution.failure is None), ()))
    if resolution.seconds is not None:
        samples.append((_RESOLVE_SECONDS, resolution.seconds, ()))
    if resolution.skipped_ipv6:
        samples.append((_RESOLVE_SKIPPED, float(resolution.skipped_ipv6), ()))
    for reason, count in (record.failures or {}).items():
        samples.append((_RESOLVE_FAILURES, float(count), (("reason", reason.value),)))
    return samples


def flow_samples(record: FlowRecord, lag_bound: float) -> list[Sample]:
    """The series of one flow, its steps' apart."""
    last, tally, diagnosis = record.last, record.tally, record.diagnosis
    samples: list[Sample] = [
        (_FLOW_STATE, 1.0, (("state", record.status.value),)),
        (_FLOW_DIAGNOSIS, 1.0, (("layer", clean(diagnosis.layer or NONE)),)),
        (_FLOW_FAILS_OPEN, float(diagnosis.fails_open), ()),
        (_FLOW_RUNS, float(tally.attempts), ()),
        (_FLOW_FAILED, float(tally.failed), ()),
    ]
    up = verdict((last.outcome,))
    if up is not None:
        samples.append((_FLOW_UP, up, ()))
        samples.append((_FLOW_DEGRADED, float(any(map(slow, last.steps))), ()))
    if record.status in TROUBLED:
        samples.append((_FLOW_SINCE, record.since, ()))
    if last.lag <= lag_bound:
        samples.append((_FLOW_DURATION, last.seconds, ()))
    if last.token_expires_at is not None:
        samples.append((_FLOW_TOKEN, last.token_expires_at, ()))
    return samples + _tallied(tally, _FLOW_FAILURES, _FLOW_INCONCLUSIVE)


def slow(result: StepResult) -> bool:
    """Whether the step was slower than it may be."""
    match result.outcome:
        case Passed(warnings=findings) | Failed(others=findings):
            return any(finding.reason is Reason.TOO_SLOW for finding in findings)
        case Inconclusive() | Skipped():
            return False


def step_samples(record: StepRecord, lag_bound: float) -> list[Sample]:
    """The series of one step; a run may hold several attempts of it."""
    tally, latest = record.tally, record.latest
    samples: list[Sample] = [
        (_STEP_ATTEMPTS, float(tally.attempts), ()),
        (_STEP_FAILED, float(tally.failed), ()),
    ]
    success = verdict(result.outcome for result in latest)
    if success is not None:
        samples.append((_STEP_SUCCESS, success, ()))
    if latest and all(isinstance(result.outcome, Skipped) for result in latest):
        samples.append((_STEP_SKIPPED, 1.0, ()))
    if success == 1.0 and any(map(slow, latest)):
        samples.append((_STEP_DEGRADED, 1.0, ()))
    shown = worst_of(latest)
    if shown is not None and shown.evidence.status is not None:
        samples.append((_STEP_STATUS, float(shown.evidence.status), ()))
    durations = [
        result.timings.total
        for result in latest
        if not isinstance(result.outcome, Skipped) and result.timings.lag <= lag_bound
    ]
    if durations:
        samples.append((_STEP_DURATION, max(durations), ()))
    return samples + _tallied(tally, _STEP_FAILURES, _STEP_INCONCLUSIVE)


def worst_of(results: Iterable[StepResult]) -> StepResult | None:
    """The first failed result, else the last that ran."""
    last = None
    for result in results:
        if isinstance(result.outcome, Failed):
            return result
        if not isinstance(result.outcome, Skipped):
            last = result
    return last


def _tallied(tally: Tally, failures: Family, inconclusive: Family) -> list[Sample]:
    return [
        *_counts(failures, tally.failures or {}),
        *_counts(inconclusive, tally.inconclusive or {}),
    ]


def _counts(family: Family, counts: Mapping[Why, int]) -> list[Sample]:
    return [(family, float(count), _labels_of(why)) for why, count in counts.items()]


def _labels_of(why: Why) -> tuple[tuple[str, str], ...]:
    phase, reason = why
    return (("phase", phase.value), ("reason", reason.value))
