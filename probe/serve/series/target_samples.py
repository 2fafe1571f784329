"""The series of a whole target, under blackbox_exporter's names. Pure.

A target is as healthy as its worst edge. Which edge that is decides what the one series of each
name says: a failed one first, else the first that was found, so that a healthy target's series
do not jump between its edges. Expiry is the earliest and duration the longest of all edges.

Labels that users chose stand on series of their own, so that the hot series stay thin.
"""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Iterable, Mapping

from probe.model.failure import Reason
from probe.model.result import Failed, Handshake, Inconclusive, StepResult, Timings
from probe.model.spec import Check, TlsCheck
from probe.model.state import CONFIRMED, EdgeStatus
from probe.model.target import Edge, EdgeKey, ProviderKey
from probe.serve.records import EdgeRecord, FlowRecord, TargetRecord
from probe.serve.series import families
from probe.serve.series.family import BASE_LABELS, Family, LabelPairs, Sample, clean, present
from probe.serve.series.flow_samples import worst_of

_UNFIT = re.compile(r"[^a-zA-Z0-9_]")
_NAMES_CAP = 1024
"""Characters of alternative names kept in a label: a shared certificate may hold hundreds."""


def target_samples(record: TargetRecord, lag_bound: float) -> list[Sample]:
    """Every series of one target."""
    samples = _verdict(record)
    if record.edges:
        samples += _edges(record, lag_bound)
    elif record.flows:
        samples += _flows(record, lag_bound)
    elif any(r.resolution.failure for r in record.resolutions.values()):
        samples.append((families.IP_PROTOCOL, 0.0, ()))
    unseen = sum(1 for key, late in record.missing.items() if late and isinstance(key, EdgeKey))
    return samples + present(
        (families.TARGET_EDGES_UNSEEN, unseen or None),
        (families.DNS_LOOKUP_TIME, _lookup(record)),
    )


def _lookup(record: TargetRecord) -> float | None:
    """Seconds of the resolution that gave the addresses in use, as blackbox_exporter tells them.

    It is there on every probe, so also when the answer was known already, and 0 for an address
    that is written: the one exception from "absent is absent" (docs/metrics.md).
    """
    known = (r.resolution.took for r in record.resolutions.values() if r.unseen is None)
    flows = [flow for flow in record.flows.values() if flow.unseen is None]
    shown = _shown(flows)
    first = [] if shown is None else [s.timings.lookup for s in shown[0].last.steps]
    return max(known, default=next((value for value in first if value is not None), None))


def _verdict(record: TargetRecord) -> list[Sample]:
    """Success over all edges, flows and resolutions; and what of it is our own fault.

    An edge or flow whose latest attempt was inconclusive adds nothing when it was passing
    before. When it was not, the target is not called healthy without having been seen so, nor
    while something of it is missing. What failed fails until it is seen to pass.
    """
    ours: dict[tuple[str, str], None] = {}
    failed = passed = doubt = False
    probed: list[EdgeRecord | FlowRecord] = [*record.edges.values(), *record.flows.values()]
    for one in probed:
        match one.last.outcome:
            case Failed():
                failed |= one.status is not EdgeStatus.UNSEEN
            case Inconclusive(failure):
                ours[failure.phase.value, failure.reason.value] = None
                failed |= one.status in CONFIRMED
                doubt |= one.status is not EdgeStatus.PASSING
            case _:
                passed = True
    for resolved in record.resolutions.values():
        dns = resolved.resolution.failure
        failed |= resolved.lost
        if dns is not None and dns.ours and not resolved.resolution.edges:
            ours[dns.phase.value, dns.reason.value] = None
            doubt = True
    samples: list[Sample] = [
        (families.TARGET_INCONCLUSIVE, 1.0, (("phase", phase), ("reason", reason)))
        for phase, reason in ours
    ]
    healthy = passed and not doubt and not record.awaiting
    return samples + present((families.SUCCESS, 0.0 if failed else 1.0 if healthy else None))


def _edges(record: TargetRecord, lag_bound: float) -> list[Sample]:
    edges = [edge for edge in record.edges.values() if edge.status is not EdgeStatus.UNSEEN]
    samples: list[Sample] = []
    if edges:
        failing = sum(1 for edge in edges if edge.status in CONFIRMED)
        whole = len(record.edges.keys() | _unjudged(record))
        samples = present((families.TARGET_EDGES, whole), (families.TARGET_EDGES_FAILING, failing))
        samples += steady_target_samples(record, lag_bound)
        samples += address_samples(_first(edges).last.edge)
    shaken = [edge for edge in edges if edge.last.handshake is not None]
    every = [e.last.handshake for e in record.edges.values() if e.last.handshake is not None]
    shown = _first(shaken).last.handshake if shaken else None
    return samples + expiry_samples(every) + (agreed_samples(shown) if shown is not None else [])


def _unjudged(record: TargetRecord) -> set[EdgeKey | ProviderKey]:
    """Edges nobody has judged (lately), and providers without an address known to be judged.

    They count among the edges: else the one that was looked at, failing, would be all of them.
    """
    resolved = record.resolutions
    return {
        key
        for key in record.missing
        if isinstance(key, EdgeKey)
        or (
            isinstance(key, ProviderKey)
            and not (key in resolved and resolved[key].resolution.edges)
        )
    }


def steady_target_samples(record: TargetRecord, lag_bound: float) -> list[Sample]:
    """What changes on a target when one passing attempt or run follows another."""
    if not record.edges:
        flows = [flow for flow in record.flows.values() if flow.unseen is None]
        return _steady_flows(flows, lag_bound)
    durations = [
        edge.last.timings.total
        for edge in record.edges.values()
        if edge.unseen is None
        and edge.last.timings.lag <= lag_bound
        and not isinstance(edge.last.outcome, Inconclusive)
    ]
    return present((families.DURATION, max(durations, default=None)))


def _flows(record: TargetRecord, lag_bound: float) -> list[Sample]:
    steps = [step for flow in record.flows.values() for step in flow.last.steps]
    samples = expiry_samples(step.handshake for step in steps if step.handshake is not None)
    flows = [flow for flow in record.flows.values() if flow.unseen is None]
    shown = _shown(flows)
    shaken = [s.handshake for flow in flows for s in flow.last.steps if s.handshake is not None]
    if shown is not None and shaken:
        samples += agreed_samples(shown[1].handshake or shaken[0])
    return samples + _steady_flows(flows, lag_bound)


def _steady_flows(flows: list[FlowRecord], lag_bound: float) -> list[Sample]:
    durations = [flow.last.seconds for flow in flows if flow.last.lag <= lag_bound]
    samples = present((families.DURATION, max(durations, default=None)))
    shown = _shown(flows)
    if shown is not None:
        edge = shown[1].edge
        samples += [*([] if edge is None else address_samples(edge)), *_http(*shown, lag_bound)]
    return samples


def _shown(flows: list[FlowRecord]) -> tuple[FlowRecord, StepResult] | None:
    """The first failed flow, else the first, and the step of it that is shown."""
    failed = (flow for flow in flows if isinstance(flow.last.outcome, Failed))
    worst = next(failed, flows[0] if flows else None)
    step = worst_of(worst.last.steps) if worst is not None else None
    return None if worst is None or step is None else (worst, step)


def _first(edges: Iterable[EdgeRecord]) -> EdgeRecord:
    """The first failed edge, else the first."""
    known = list(edges)
    return next((edge for edge in known if isinstance(edge.last.outcome, Failed)), known[0])


def address_samples(edge: Edge) -> list[Sample]:
    """IP version and address hash."""
    return present(
        (families.IP_PROTOCOL, edge.version), (families.IP_ADDR_HASH, address_hash(edge.ip))
    )


@functools.lru_cache(maxsize=4096)
def address_hash(ip: str) -> int:
    """FNV-1a, 32 bit, of the 4 or 16 bytes of an address, as blackbox_exporter computes it."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    value = 0x811C9DC5
    for byte in socket.inet_pton(family, ip.partition("%")[0]):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def expiry_samples(every: Iterable[Handshake]) -> list[Sample]:
    """The earliest expiry over all edges: dates stay true when nobody looks."""
    shaken = list(every)
    sent = [certificate.not_after for one in shaken for certificate in one.chain]
    verified = [one.verified_not_after for one in shaken if one.verified_not_after is not None]
    renewals = [one.renewal for one in shaken if one.renewal is not None]
    logs = [one.timestamps.logs for one in shaken if one.timestamps is not None]
    return present(
        (families.SSL_EARLIEST_CERT_EXPIRY, min(sent, default=None)),
        (families.SSL_LAST_CHAIN_EXPIRY, min(verified, default=None)),
        (families.CERTIFICATE_DUE, min((one.due for one in renewals), default=None)),
        (families.CERTIFICATE_LATE, min((one.late for one in renewals), default=None)),
        (families.CERTIFICATE_URGENT, min((one.urgent for one in renewals), default=None)),
        (families.CERTIFICATE_TIMESTAMPS, min(logs, default=None)),
    )


def agreed_samples(shown: Handshake) -> list[Sample]:
    """What was agreed with the edge that is shown, and its leaf."""
    samples: list[Sample] = [
        (families.TLS_VERSION_INFO, 1.0, (("version", clean(shown.version)),)),
        (families.TLS_CIPHER_INFO, 1.0, (("cipher", clean(shown.cipher)),)),
    ]
    if shown.leaf is not None:
        leaf = shown.leaf
        labels = (
            ("fingerprint_sha256", leaf.fingerprint_sha256),
            ("issuer", clean(leaf.issuer)),
            ("serialnumber", leaf.serial),
            ("subject", clean(leaf.subject)),
            ("subjectalternative", clean(_names(leaf.dns_names))),
        )
        samples.append((families.SSL_LAST_CHAIN_INFO, 1.0, labels))
    return samples


def _names(names: Iterable[str]) -> str:
    """Names joined with commas, cut between names where a label would grow absurd."""
    joined = ",".join(names)
    return joined if len(joined) <= _NAMES_CAP else joined[:_NAMES_CAP].rpartition(",")[0]


def _http(flow: FlowRecord, shown: StepResult, lag_bound: float) -> list[Sample]:
    evidence, steps = shown.evidence, flow.last.steps
    reasons = {s.outcome.failure.reason for s in steps if isinstance(s.outcome, Failed)}
    redirects = [s.evidence.redirects for s in steps if s.evidence.redirects is not None]
    samples = present(
        (families.HTTP_STATUS_CODE, evidence.status or 0),
        (families.HTTP_SSL, "https://" in evidence.request),
        (families.FAILED_DUE_TO_REGEX, Reason.REGEX in reasons),
        (families.HTTP_VERSION, evidence.http_version),
        (families.HTTP_CONTENT_LENGTH, evidence.content_length),
        (families.HTTP_UNCOMPRESSED_BODY_LENGTH, evidence.body_size),
        (families.HTTP_REDIRECTS, sum(redirects) if redirects else None),
    )
    trusted = flow.last.lag <= lag_bound
    return samples + _http_phases([step.timings for step in steps], trusted=trusted)


def _http_phases(timings: Iterable[Timings], *, trusted: bool) -> list[Sample]:
    """Phases as blackbox_exporter cuts them; a phase that no step had is absent.

    Where the agent was late its own times are left out. That of the resolution is there on every
    probe, see `_lookup`.
    """
    sums: dict[str, float] = {}
    for one in timings:
        parts = (
            ("resolve", one.lookup),
            ("connect", one.connect),
            ("tls", one.tls),
            ("processing", one.send),  # from the connection being ready …
            ("processing", one.wait),  # … to the first byte
            ("transfer", one.receive),
        )
        for phase, seconds in parts:
            if seconds is not None and (trusted or phase == "resolve"):
                sums[phase] = sums.get(phase, 0.0) + seconds
    return [
        (families.HTTP_DURATION, seconds, (("phase", phase),)) for phase, seconds in sums.items()
    ]


# ---------------------------------------------------------------- labels that users chose


def target_info_samples(labels: Mapping[str, str]) -> list[Sample]:
    """The info series of a target; none when its list gives it no labels."""
    named = own_labels(families.TARGET_INFO, labels)
    return [(families.TARGET_INFO, 1.0, named)] if named else []


def check_samples(check: Check) -> list[Sample]:
    """The series of a check itself."""
    fixed = {"kind": check.kind, "interval_seconds": f"{check.interval:g}"}
    own = {
        name: value
        for name, value in own_labels(families.CHECK_INFO, check.labels)
        if name not in fixed
    }
    samples: list[Sample] = [(families.CHECK_INFO, 1.0, tuple(sorted({**own, **fixed}.items())))]
    if isinstance(check, TlsCheck) and check.consensus.across_regions:
        samples.append((families.CHECK_GRACE, check.consensus.grace, ()))
    return samples


def own_labels(family: Family, labels: Mapping[str, str]) -> LabelPairs:
    """Labels that users chose, under names that Prometheus takes.

    What is not a letter, digit or underscore becomes an underscore. Names that begin with two
    underscores are internal to Prometheus and left out, as are empty values, which mean absent.
    A name that the family has itself gets the prefix ``label_``. Of two names that become the
    same, the first in order stays.
    """
    taken = {*BASE_LABELS[family.group], "region"}
    named: dict[str, str] = {}
    for name in sorted(labels):
        if name.startswith("__") or not labels[name]:
            continue
        fit = _UNFIT.sub("_", name)
        if fit in taken or fit[:1].isdigit() or fit.startswith("__") or not fit:
            fit = f"label_{fit}"
        named.setdefault(fit, clean(labels[name]))
    return tuple(sorted(named.items()))
