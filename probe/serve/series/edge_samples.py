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
from probe.serve.records import TROUBLED, EdgeRecord, OutcomeCounts, ResolveRecord, Why
from probe.serve.series import families
from probe.serve.series.family import Family, Sample, clean

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
        (families.EDGE_STATE, 1.0, (("state", record.status.value),)),
        (families.EDGE_ATTEMPTS, float(tally.attempts), ()),
        (families.EDGE_FAILED_ATTEMPTS, float(tally.failed), ()),
    ]
    up = verdict((last.outcome,))
    if up is not None and seen(up, record.unseen):
        samples.append((families.EDGE_UP, up, ()))
    if record.status in TROUBLED:
        samples.append((families.EDGE_STATE_SINCE, record.since, ()))
    if record.unnamed is not None:
        samples.append((families.EDGE_UNNAMED_SINCE, record.unnamed, ()))
    if tally.failures or tally.inconclusive:
        samples += tallied(tally, families.EDGE_FAILURES, families.EDGE_INCONCLUSIVE)
    if record.minority:
        samples.append((families.EDGE_CERTIFICATE_MINORITY, 1.0, ()))
    if last.handshake is not None and last.handshake.leaf is not None:
        samples += _leaf(last.handshake.leaf)
    if record.unseen is not None:
        return [*samples, (families.EDGE_UNSEEN_SINCE, record.unseen, ())]
    if isinstance(last.outcome, Passed):
        # Two findings may share phase and reason; a series exists once.
        whys = dict.fromkeys((w.phase, w.reason) for w in last.outcome.warnings)
        samples += [(families.EDGE_WARNING, 1.0, why_labels(why)) for why in whys]
    samples += _timings(last, lag_bound)
    if last.handshake is not None:
        samples.append((families.EDGE_TLS_INFO, 1.0, _agreed(last.handshake)))
    return samples


_UNSEEN = (("state", EdgeStatus.UNSEEN.value),)


def unlooked_samples(key: EdgeKey | FlowKey | ProviderKey, since: float) -> list[Sample]:
    """The series of what has never had a result, long after it should."""
    match key:
        case EdgeKey():
            return [(families.EDGE_STATE, 1.0, _UNSEEN), (families.EDGE_UNSEEN_SINCE, since, ())]
        case FlowKey():
            return [(families.FLOW_STATE, 1.0, _UNSEEN), (families.FLOW_UNSEEN_SINCE, since, ())]
        case ProviderKey():
            return [(families.RESOLVE_UNSEEN_SINCE, since, ())]


def steady_edge_samples(record: EdgeRecord, lag_bound: float) -> list[Sample]:
    """What changes on an edge when one passing attempt follows another."""
    attempts = (families.EDGE_ATTEMPTS, float(record.tally.attempts), ())
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
            samples.append((families.EDGE_CONNECT, last.timings.connect, ()))
        if last.timings.tls is not None and last.handshake is not None:
            samples.append((families.EDGE_HANDSHAKE, last.timings.tls, ()))
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
    return [
        (families.EDGE_CERTIFICATE_NOT_AFTER, leaf.not_after, ()),
        (families.EDGE_CERTIFICATE_INFO, 1.0, _certificate(leaf)),
    ]


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
    samples: list[Sample] = [(families.RESOLVE_ATTEMPTS, float(record.attempts), ())]
    if record.failed is not None:
        samples.append((families.RESOLVE_SUCCESS, 0.0, ()))
    elif resolution.failure is None and record.unseen is None:
        samples.append((families.RESOLVE_SUCCESS, 1.0, ()))
    if record.unseen is None or not resolution.edges:
        samples.append((families.RESOLVE_EDGES, float(len(resolution.edges)), ()))
    if record.unseen is not None:
        samples.append((families.RESOLVE_UNSEEN_SINCE, record.unseen, ()))
    elif resolution.seconds is not None:
        samples.append((families.RESOLVE, resolution.seconds, ()))
    if resolution.skipped_ipv6:
        samples.append((families.RESOLVE_SKIPPED_IPV6_EDGES, float(resolution.skipped_ipv6), ()))
    for reason, count in (record.failures or {}).items():
        samples.append((families.RESOLVE_FAILURES, float(count), (("reason", reason.value),)))
    return samples


def tallied(tally: OutcomeCounts, failures: Family, inconclusive: Family) -> list[Sample]:
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
