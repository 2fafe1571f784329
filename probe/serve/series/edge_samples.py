"""From records to samples of one edge or name resolution, and of what holds over edges. Pure.

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
    Renewal,
    StepOutcome,
    TlsResult,
)
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.census import ProviderCensus, failing
from probe.serve.records import (
    TROUBLED,
    CertificateSplit,
    EdgeRecord,
    FlowRecord,
    LeafRecord,
    OutcomeCounts,
    ResolveRecord,
    Why,
)
from probe.serve.series import families
from probe.serve.series.family import Family, LabelPairs, Sample, clean, present

NONE = "none"
UNLOOKED = "not_looked_at"
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


def said(outcomes: Iterable[StepOutcome], unseen: float | None) -> float | None:
    """The verdict as far as it may be said: that something passes only while somebody looks."""
    value = verdict(outcomes)
    return value if unseen is None or value == 0.0 else None


def edge_samples(record: EdgeRecord, lag_bound: float) -> list[Sample]:
    """The series of one edge."""
    last, tally = record.last, record.tally
    samples = [
        *state_samples(families.EDGE_STATE, families.EDGE_STATE_SINCE, record),
        *present(
            (families.EDGE_ATTEMPTS, tally.attempts),
            (families.EDGE_FAILED_ATTEMPTS, tally.failed),
            (families.EDGE_UP, said((last.outcome,), record.unseen)),
            (families.EDGE_UNNAMED_SINCE, record.unnamed),
            (families.EDGE_UNSEEN_SINCE, record.unseen),
            (families.EDGE_CERTIFICATE_MINORITY, 1.0 if record.minority else None),
        ),
        *tallied(tally, families.EDGE_FAILURES, families.EDGE_INCONCLUSIVE),
    ]
    if last.handshake is not None and last.handshake.leaf is not None:
        samples += _leaf(last.handshake.leaf, last.handshake.leaf_renewal)
    if record.unseen is not None:
        return samples
    if isinstance(last.outcome, Passed):
        # Two findings may share phase and reason; a series exists once.
        whys = dict.fromkeys((w.phase, w.reason) for w in last.outcome.warnings)
        samples += [(families.EDGE_WARNING, 1.0, why_labels(why)) for why in whys]
    samples += _timings(last, lag_bound)
    if last.handshake is not None:
        samples.append((families.EDGE_TLS_INFO, 1.0, _agreed(last.handshake)))
    return samples


def state_samples(state: Family, since: Family, record: EdgeRecord | FlowRecord) -> list[Sample]:
    """The state, and when it began while it is one that a person wants to see."""
    began = record.since if record.status in TROUBLED else None
    return [(state, 1.0, (("state", record.status.value),)), *present((since, began))]


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


def steady(before: TlsResult, after: TlsResult) -> bool:
    """Whether both passed alike: times may differ, and be there or not."""
    return (
        isinstance(before.outcome, Passed)
        and before.outcome == after.outcome
        and before.edge == after.edge
        and before.handshake == after.handshake
    )


def _timings(last: TlsResult, lag_bound: float) -> list[Sample]:
    if last.timings.lag > lag_bound:
        return []
    shook = last.timings.tls if last.handshake is not None else None
    return present((families.EDGE_CONNECT, last.timings.connect), (families.EDGE_HANDSHAKE, shook))


def _agreed(handshake: Handshake) -> LabelPairs:
    return (
        ("alpn", clean(handshake.alpn or NONE)),
        ("cipher", clean(handshake.cipher)),
        ("crl", handshake.crl or UNLOOKED),
        ("group", clean(handshake.group or "unknown")),
        ("ocsp", clean(handshake.ocsp or NONE)),
        ("version", clean(handshake.version)),
    )


def _leaf(leaf: CertificateFacts, renewal: Renewal | None) -> list[Sample]:
    labels = (
        ("fingerprint_sha256", leaf.fingerprint_sha256),
        ("issuer", clean(leaf.issuer)),
        ("key", clean(leaf.key)),
        ("serial", leaf.serial),
    )
    return [
        (families.EDGE_CERTIFICATE_NOT_AFTER, leaf.not_after, ()),
        (families.EDGE_CERTIFICATE_NOT_BEFORE, leaf.not_before, ()),
        *present((families.EDGE_CERTIFICATE_LATE, None if renewal is None else renewal.late)),
        (families.EDGE_CERTIFICATE_INFO, 1.0, labels),
    ]


def resolve_samples(record: ResolveRecord) -> list[Sample]:
    """The series of one name resolution; none for fixed addresses, which ask nobody."""
    resolution, named = record.resolution, _named(record)
    if record.attempts == 0:
        return named
    success = None
    if record.failed is not None:
        success = 0.0
    elif resolution.failure is None and record.unseen is None:
        success = 1.0
    known = len(resolution.edges)
    samples = present(
        (families.RESOLVE_ATTEMPTS, record.attempts),
        (families.RESOLVE_SUCCESS, success),
        (families.RESOLVE_EDGES, known if record.unseen is None or not known else None),
        (families.RESOLVE_UNSEEN_SINCE, record.unseen),
        (families.RESOLVE, resolution.seconds if record.unseen is None else None),
        (families.RESOLVE_SKIPPED_IPV6_EDGES, resolution.skipped_ipv6 or None),
        (families.RESOLVE_NAT64_EDGES, resolution.nat64 or None),
    )
    for reason, count in (record.failures or {}).items():
        samples.append((families.RESOLVE_FAILURES, float(count), (("reason", reason.value),)))
    return samples + named


def _named(record: ResolveRecord) -> list[Sample]:
    """The series of records beside addresses: whether they were looked at, and findings."""
    if record.named is None or record.unseen is not None:
        return []
    looked = record.named.records.looked_at()
    reasons = dict.fromkeys(warning.reason for warning in record.named.warnings)
    return [
        *((families.RECORDS_SEEN, float(seen), (("record", one),)) for one, seen in looked.items()),
        *((families.RESOLVE_WARNING, 1.0, (("reason", one.value),)) for one in reasons),
    ]


def split_samples(split: CertificateSplit) -> list[Sample]:
    """The series of one comparison."""
    return present(
        (families.CERTIFICATES_DISTINCT, split.distinct),
        (
            families.CERTIFICATES_MINORITY_EDGES,
            len({(key.provider, key.edge) for key in split.minority}),
        ),
        (families.CERTIFICATES_SPLIT, split.alarming),
        (families.CERTIFICATES_DIFFER_SINCE, split.since),
    )


def leaf_samples(leaf: LeafRecord) -> list[Sample]:
    """The series of the certificate that a provider serves."""
    at = None if leaf.last is None else leaf.last.at
    return present(
        (families.CERTIFICATES_CHANGES, leaf.changes), (families.CERTIFICATES_LAST_CHANGE, at)
    )


def provider_samples(census: ProviderCensus) -> list[Sample]:
    """The series of one provider; none says "nothing fails" when nothing is known."""
    tally, groups = census.tally, census.groups()
    edges, targets, now = len(census.edges), len(census.targets), failing(groups, census.planned)
    samples = present(
        (families.PROVIDER_RESULTS_EXPECTED, len(census.members)),
        (families.PROVIDER_RESULTS_MISSING, len(census.unseen)),
        (families.PROVIDER_TARGETS_UNSEEN, len({key.target for key in census.unseen})),
        (families.PROVIDER_ATTEMPTS, tally.attempts),
        (families.PROVIDER_FAILED_ATTEMPTS, tally.failed),
        (families.PROVIDER_TARGETS, targets or None),
        (families.PROVIDER_TARGETS_FAILING, now.targets if targets else None),
        (families.PROVIDER_TARGETS_FAILING_PLANNED, now.planned if census.planned else None),
        (families.PROVIDER_TARGETS_FAILING_RATIO, now.targets / targets if targets else None),
        (families.PROVIDER_EDGES, edges or None),
        (families.PROVIDER_EDGES_FAILING, now.edges if edges else None),
        (families.PROVIDER_FAILING_SINCE, now.since),
    )
    samples += session_samples(census)
    targets_by = [(g.why, len(g.targets)) for g in groups if g.confirmed]
    return [
        *samples,
        *by_why(families.PROVIDER_TARGETS_FAILING_BY_REASON, targets_by),
        *by_why(families.PROVIDER_FAILURES, (tally.failures or {}).items()),
    ]


SESSIONS = ("resumed", "refused", "broken", "untried")
"""What can become of another edge's session ticket; all are exported once one is, from zero."""


def session_samples(census: ProviderCensus) -> list[Sample]:
    """The counts of session tickets; none where no profile offers them."""
    counts = census.sessions
    if counts is None:
        return []
    family = families.PROVIDER_SESSION_TICKETS
    return [(family, float(counts[one]), (("outcome", one),)) for one in SESSIONS]


def cause_samples(family: Family, counts: Mapping[str, int]) -> list[Sample]:
    """What the failures of one provider depend on: addresses, or flows, by cause."""
    found = sorted(counts.items())
    return [(family, float(count), (("cause", cause),)) for cause, count in found]


def tallied(tally: OutcomeCounts, failures: Family, inconclusive: Family) -> list[Sample]:
    """Counters by phase and reason."""
    counted = ((failures, tally.failures), (inconclusive, tally.inconclusive))
    return [
        sample for family, counts in counted for sample in by_why(family, (counts or {}).items())
    ]


def by_why(family: Family, counts: Iterable[tuple[Why, float]]) -> list[Sample]:
    """One series for each phase and reason."""
    return [(family, float(count), why_labels(why)) for why, count in counts]


def why_labels(why: Why) -> LabelPairs:
    """Phase and reason as labels."""
    phase, reason = why
    return (("phase", phase.value), ("reason", reason.value))
