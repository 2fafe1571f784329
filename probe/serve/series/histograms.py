"""Histograms: observations counted in buckets, and written as prometheus-client writes them.

Why not its own: an attempt is observed in five of them, and each of its observations takes a
lock, looks through the buckets one by one and checks the exemplar.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Container, Iterator
from typing import NamedTuple

from probe.model.result import FlowResult, Skipped, Timings, TlsResult
from probe.serve.series import families
from probe.serve.series.family import (
    Family,
    Format,
    LabelPairs,
    MetricType,
    clean,
    header,
    label_text,
    number,
)


class TracedValue(NamedTuple):
    """An observation with the trace it belongs to: an exemplar of OpenMetrics."""

    trace_id: str
    value: float
    at: float


class Buckets:
    """What was observed under one set of labels.

    Attributes:
        counts: by upper bound, that of infinity last; not cumulative.
        total: sum of all observations.
        traced: the latest observation of a bucket that had a trace, by place of the bucket.
    """

    __slots__ = ("counts", "total", "traced")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0
        self.traced: dict[int, TracedValue] = {}


class Histogram:
    """One family of histograms.

    Args:
        family: its name, labels and buckets.
        region: constant label of every series.

    Attributes:
        series: what was observed, by labels without the region.
    """

    def __init__(self, family: Family, region: str) -> None:
        self.family = family
        self.series: dict[LabelPairs, Buckets] = {}
        self._region = region
        self._bounds = family.buckets

    def observe(self, labels: LabelPairs, seconds: float, trace_id: str = "") -> None:
        """Count one observation; labels in the order of their names."""
        buckets = self.series.get(labels)
        if buckets is None:
            buckets = self.series[labels] = Buckets(len(self._bounds))
        place = bisect_left(self._bounds, seconds)
        buckets.counts[place] += 1
        buckets.total += seconds
        if trace_id:
            buckets.traced[place] = TracedValue(trace_id, seconds, time.time())

    def forget(self, *pairs: tuple[str, str]) -> None:
        """Remove the series that carry all of these labels."""
        for labels in [labels for labels in self.series if set(pairs) <= set(labels)]:
            del self.series[labels]

    def blocks(self, form: Format) -> Iterator[bytes]:
        """The exposition, a set of labels at a time."""
        pending = header(self.family, form)
        for labels, buckets in list(self.series.items()):
            yield pending + "".join(self._lines(labels, buckets, form)).encode()
            pending = b""

    def _lines(self, labels: LabelPairs, buckets: Buckets, form: Format) -> Iterator[str]:
        name = self.family.name
        pairs = [(key, clean(value)) for key, value in labels]
        pairs.append(("region", self._region))
        count = 0
        for place, bound in enumerate((*self._bounds, float("inf"))):
            count += buckets.counts[place]
            text = label_text(sorted([*pairs, ("le", number(bound))]))
            traced = buckets.traced.get(place) if form is Format.OPENMETRICS else None
            yield f"{name}_bucket{text} {number(count)}{_exemplar(traced)}\n"
        text = label_text(sorted(pairs))
        yield f"{name}_count{text} {number(count)}\n{name}_sum{text} {number(buckets.total)}\n"


def _exemplar(traced: TracedValue | None) -> str:
    if traced is None:
        return ""
    text = label_text([("trace_id", traced.trace_id)])
    return f" # {text} {number(traced.value)} {traced.at}"


class Histograms:
    """Every histogram: latencies of what is probed, and how late the agent is."""

    def __init__(self, region: str) -> None:
        rows = [family for family in families.FAMILIES if family.kind is MetricType.HISTOGRAM]
        self._all = {family.name: Histogram(family, clean(region)) for family in rows}
        self._phase = self.of(families.PHASE_LATENCY)
        self._flow = self.of(families.FLOW_LATENCY)
        self._step = self.of(families.STEP_LATENCY)

    def __iter__(self) -> Iterator[Histogram]:
        return iter(self._all.values())

    def of(self, family: Family) -> Histogram:
        """The histogram of a family."""
        return self._all[family.name]

    def forget(self, *pairs: tuple[str, str]) -> None:
        """Remove the series of every histogram that carry all of these labels."""
        for histogram in self:
            histogram.forget(*pairs)

    def keep_checks(self, names: Container[str]) -> None:
        """Remove the series of other checks than these."""
        for histogram in self:
            checks = {value for labels in histogram.series for n, value in labels if n == "check"}
            for check in checks:
                if check not in names:
                    histogram.forget(("check", check))

    def edge(self, result: TlsResult) -> None:
        """Observe one attempt on an edge."""
        self._phases(result.key.check, result.key.provider, result.timings)

    def flow(self, result: FlowResult) -> None:
        """Observe one run of a flow and its steps; a trace id goes along as an exemplar."""
        key = result.key
        labels = (("check", key.check), ("persona", key.persona), ("provider", key.provider))
        last = result.steps[-1].evidence.trace_id if result.steps else ""
        self._flow.observe(labels, result.seconds, last)
        for step in result.steps:
            if isinstance(step.outcome, Skipped) or step.attempts == 0:
                continue
            self._phases(key.check, key.provider, step.timings)
            named = (
                ("check", key.check),
                ("layer", step.layer),
                ("provider", key.provider),
                ("step", step.step),
            )
            self._step.observe(named, step.timings.total, step.evidence.trace_id)

    def _phases(self, check: str, provider: str, timings: Timings) -> None:
        phases = (
            ("resolve", timings.resolve),
            ("connect", timings.connect),
            ("starttls", timings.starttls),
            ("tls", timings.tls),
            ("auth", timings.auth),
            ("send", timings.send),
            ("wait", timings.wait),
            ("receive", timings.receive),
        )
        for phase, seconds in phases:
            if seconds is not None:
                labels = (("check", check), ("phase", phase), ("provider", provider))
                self._phase.observe(labels, seconds)
