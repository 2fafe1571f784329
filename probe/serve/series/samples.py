"""From records to samples of one edge or one name resolution. Pure.

What was not measured by the latest attempt gives no sample. Two things are beliefs rather than
measurements and stay between attempts: the confirmed state, and counters. Of what nobody looks
at any more only those are left, failures, and dates that do not depend on looking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from probe.model.result import (
    CertificateFacts,
    Failed,
    Handshake,
    Inconclusive,
    Passed,
    StepOutcome,
    TlsResult,
)
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.memory.records import TROUBLED, EdgeRecord, ResolveRecord, Tally, Why
from probe.serve.series.definitions import BY_NAME
from probe.serve.series.family import Family, Sample
from probe.serve.series.text import clean

_EDGE_UP = BY_NAME["probe_edge_up"]
_EDGE_STATE = BY_NAME["probe_edge_state"]
_EDGE_SINCE = BY_NAME["probe_edge_state_since_timestamp_seconds"]
_EDGE_UNSEEN = BY_NAME["probe_edge_unseen_since_timestamp_seconds"]
_EDGE_UNNAMED = BY_NAME["probe_edge_unnamed_since_timestamp_seconds"]
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
_FLOW_STATE = BY_NAME["probe_flow_state"]
_FLOW_UNSEEN = BY_NAME["probe_flow_unseen_since_timestamp_seconds"]
_RESOLVE_SUCCESS = BY_NAME["probe_resolve_success"]
_RESOLVE_SECONDS = BY_NAME["probe_resolve_seconds"]
_RESOLVE_EDGES = BY_NAME["probe_resolve_edges"]
_RESOLVE_SKIPPED = BY_NAME["probe_resolve_skipped_ipv6_edges"]
_RESOLVE_UNSEEN = BY_NAME["probe_resolve_unseen_since_timestamp_seconds"]
_RESOLVE_ATTEMPTS = BY_NAME["probe_resolve_attempts_total"]
_RESOLVE_FAILURES = BY_NAME["probe_resolve_failures_total"]

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


def seen(value: float | None, unseen: float | None) -> bool:
    """Whether a verdict may be said: that something passes only while somebody looks."""
    return value is not None and (unseen is None or value == 0.0)


def edge_samples(record: EdgeRecord, lag_bound: float) -> list[Sample]:
    """The series of one edge."""
    last, tally = record.last, record.tally
    samples: list[Sample] = [
        (_EDGE_STATE, 1.0, (("state", record.status.value),)),
        (_EDGE_ATTEMPTS, float(tally.attempts), ()),
        (_EDGE_FAILED, float(tally.failed), ()),
    ]
    up = verdict((last.outcome,))
    if up is not None and seen(up, record.unseen):
        samples.append((_EDGE_UP, up, ()))
    if record.status in TROUBLED:
        samples.append((_EDGE_SINCE, record.since, ()))
    if record.unnamed is not None:
        samples.append((_EDGE_UNNAMED, record.unnamed, ()))
    if tally.failures or tally.inconclusive:
        samples += tallied(tally, _EDGE_FAILURES, _EDGE_INCONCLUSIVE)
    if record.minority:
        samples.append((_EDGE_MINORITY, 1.0, ()))
    if last.handshake is not None and last.handshake.leaf is not None:
        samples += _leaf(last.handshake.leaf)
    if record.unseen is not None:
        return [*samples, (_EDGE_UNSEEN, record.unseen, ())]
    if isinstance(last.outcome, Passed):
        # Two findings may share phase and reason; a series exists once.
        whys = dict.fromkeys((w.phase, w.reason) for w in last.outcome.warnings)
        samples += [(_EDGE_WARNING, 1.0, why_labels(why)) for why in whys]
    samples += _timings(last, lag_bound)
    if last.handshake is not None:
        samples.append((_EDGE_TLS, 1.0, _agreed(last.handshake)))
    return samples


_UNSEEN = (("state", EdgeStatus.UNSEEN.value),)


def unlooked_samples(key: EdgeKey | FlowKey | ProviderKey, since: float) -> list[Sample]:
    """The series of what has never had a result, long after it should."""
    match key:
        case EdgeKey():
            return [(_EDGE_STATE, 1.0, _UNSEEN), (_EDGE_UNSEEN, since, ())]
        case FlowKey():
            return [(_FLOW_STATE, 1.0, _UNSEEN), (_FLOW_UNSEEN, since, ())]
        case ProviderKey():
            return [(_RESOLVE_UNSEEN, since, ())]


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


def _agreed(handshake: Handshake) -> tuple[tuple[str, str], ...]:
    return (
        ("alpn", clean(handshake.alpn or NONE)),
        ("cipher", clean(handshake.cipher)),
        ("group", clean(handshake.group or "unknown")),
        ("ocsp", clean(handshake.ocsp or NONE)),
        ("version", clean(handshake.version)),
    )


def _leaf(leaf: CertificateFacts) -> list[Sample]:
    return [(_EDGE_NOT_AFTER, leaf.not_after, ()), (_EDGE_CERTIFICATE, 1.0, _certificate(leaf))]


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
    samples: list[Sample] = [(_RESOLVE_ATTEMPTS, float(record.attempts), ())]
    if record.failed is not None:
        samples.append((_RESOLVE_SUCCESS, 0.0, ()))
    elif resolution.failure is None and record.unseen is None:
        samples.append((_RESOLVE_SUCCESS, 1.0, ()))
    if record.unseen is None or not resolution.edges:
        samples.append((_RESOLVE_EDGES, float(len(resolution.edges)), ()))
    if record.unseen is not None:
        samples.append((_RESOLVE_UNSEEN, record.unseen, ()))
    elif resolution.seconds is not None:
        samples.append((_RESOLVE_SECONDS, resolution.seconds, ()))
    if resolution.skipped_ipv6:
        samples.append((_RESOLVE_SKIPPED, float(resolution.skipped_ipv6), ()))
    for reason, count in (record.failures or {}).items():
        samples.append((_RESOLVE_FAILURES, float(count), (("reason", reason.value),)))
    return samples


def tallied(tally: Tally, failures: Family, inconclusive: Family) -> list[Sample]:
    """Counters by phase and reason."""
    return [
        *_counts(failures, tally.failures or {}),
        *_counts(inconclusive, tally.inconclusive or {}),
    ]


def _counts(family: Family, counts: Mapping[Why, int]) -> list[Sample]:
    return [(family, float(count), why_labels(why)) for why, count in counts.items()]


def why_labels(why: Why) -> tuple[tuple[str, str], ...]:
    """Phase and reason as labels."""
    phase, reason = why
    return (("phase", phase.value), ("reason", reason.value))
