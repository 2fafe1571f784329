"""The answer at ``/probe``: the series of one probe that was asked for, as text. Pure.

They have the names that blackbox_exporter gives them, and docs/blackbox.md lists every difference.
They come from the same records as the series of scheduled checks.
"""

from __future__ import annotations

from collections.abc import Iterable

from probe.model.result import FlowResult, Inconclusive, Outcome, Passed, ResolveResult, TlsResult
from probe.model.state import EdgeStatus
from probe.model.target import ProviderKey, Resolution
from probe.serve.records import EdgeRecord, FlowRecord, ResolveRecord, TargetKey, TargetRecord
from probe.serve.series import families
from probe.serve.series.family import Family, Format, Sample, header, label_text, number
from probe.serve.series.target_samples import target_samples

_OTHERS = frozenset({families.TARGET_EDGES, families.TARGET_EDGES_FAILING})
"""What says nothing of a probe of one address."""


def asked_samples(
    key: TargetKey,
    resolution: Resolution,
    results: Iterable[TlsResult | FlowResult],
    *,
    at: float,
    seconds: float,
    lag_bound: float,
) -> list[Sample]:
    """Make the series of one probe.

    Args:
        key: the module and the target.
        resolution: what the target's name gave, narrowed to the address that was probed.
        results: of that address, one for each client profile; or of the one run.
        at: wall time of the start.
        seconds: that all of it took.
        lag_bound: lag of the loop above which no times are said.
    """
    record = TargetRecord(key, complete=True)
    through = ProviderKey(*key, "")
    resolved = ResolveRecord(through, at, resolution)
    resolved.take(ResolveResult(through, at, resolution))
    record.resolutions[through] = resolved
    for one in results:
        status = _status(one.outcome)
        if isinstance(one, TlsResult):
            record.edges[one.key] = EdgeRecord(one.key, one, status)
        else:
            record.flows[one.key] = FlowRecord(one.key, one, status)
    found = [
        sample
        for sample in target_samples(record, lag_bound)
        if sample[0] not in _OTHERS and sample[0] is not families.DURATION
    ]
    return [(families.DURATION, seconds, ()), *found]


def _status(outcome: Outcome) -> EdgeStatus:
    match outcome:
        case Passed():
            return EdgeStatus.PASSING
        case Inconclusive():
            return EdgeStatus.UNKNOWN
        case _:
            return EdgeStatus.FAILING


def as_text(samples: Iterable[Sample]) -> str:
    """Write samples in the text format, families in the order of their names."""
    by_family: dict[Family, list[Sample]] = {}
    for sample in samples:
        by_family.setdefault(sample[0], []).append(sample)
    written = ""
    for family in sorted(by_family, key=lambda one: one.name):
        written += header(family, Format.TEXT).decode()
        for _, value, labels in by_family[family]:
            written += f"{family.name}{label_text(labels)} {number(value)}\n"
    return written
