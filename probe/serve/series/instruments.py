"""The agent's own metrics and the latency histograms, kept by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from probe.serve.series.definitions import BY_NAME, FAMILIES
from probe.serve.series.family import Family, Group, Kind
from probe.serve.series.plain import expose
from probe.serve.series.text import Format, clean

BLOCK = 200
"""Samples formatted in one go: about two milliseconds."""

_CLASSES: dict[Kind, type[MetricWrapperBase]] = {
    Kind.COUNTER: Counter,
    Kind.GAUGE: Gauge,
    Kind.INFO: Info,
}
_Made = TypeVar("_Made", bound=MetricWrapperBase)


class Instruments:
    """One prometheus-client metric for each family of the groups *latency* and *agent*.

    Children of a check are remembered, so that they go when the check does.
    """

    def __init__(self, region: str) -> None:
        self._region = clean(region)
        self._registry = CollectorRegistry()
        self._metrics: dict[str, MetricWrapperBase] = {}
        self._children: dict[str, dict[tuple[str, ...], MetricWrapperBase]] = {}
        for family in FAMILIES:
            if family.group in {Group.LATENCY, Group.AGENT}:
                self._metrics[family.name] = _made(family, self._registry)
                self._children[family.name] = {}
        ProcessCollector(registry=self._registry)

    def gauge(self, name: str, *labels: str) -> Gauge:
        """The gauge of that name and those label values, in the table's order."""
        return self._child(name, labels, Gauge)

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter of that name and those label values."""
        return self._child(name, labels, Counter)

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram of that name and those label values."""
        return self._child(name, labels, Histogram)

    def info(self, name: str) -> Info:
        """The info of that name."""
        return self._child(name, (), Info)

    def _child(self, name: str, labels: tuple[str, ...], kind: type[_Made]) -> _Made:
        children = self._children[name]
        child = children.get(labels)
        if child is None:
            parent = self._metrics[name]
            values = tuple(map(clean, labels))
            child = children[labels] = parent.labels(*values) if labels else parent
        assert isinstance(child, kind)  # noqa: S101 - the table says so; the checker cannot know
        return child

    def forget(self, label: str, keep: Iterable[str], *, only: str = "") -> None:
        """Remove the series whose label of that name holds none of the values to keep.

        ``only`` names the one family to look at.
        """
        kept = set(keep)
        for name, children in self._children.items():
            names = BY_NAME[name].extra
            if label not in names or (only and name != only):
                continue
            place = names.index(label)
            for values in [values for values in children if values[place] not in kept]:
                self._metrics[name].remove(*map(clean, values))
                del children[values]

    def forget_where(self, **labels: str) -> None:
        """Remove the series that carry all of these labels."""
        for name, children in self._children.items():
            names = BY_NAME[name].extra
            if not labels.keys() <= set(names):
                continue
            wanted = {(names.index(label), value) for label, value in labels.items()}
            for values in [v for v in children if all(v[i] == value for i, value in wanted)]:
                self._metrics[name].remove(*map(clean, values))
                del children[values]

    def clear(self, name: str) -> None:
        """Remove every series of a family with labels."""
        self._metrics[name].clear()
        self._children[name].clear()

    def metrics(self) -> Iterator[Metric]:
        """The families that have series, in order, with the region as a label.

        Without ``_created`` series: they would double the counters for a fact (when a counter
        began) that Prometheus' own reset detection does not need.
        """
        untouched = {
            BY_NAME[name].base for name, children in self._children.items() if not children
        }
        for metric in self._registry.collect():
            if metric.name in untouched:
                continue  # prometheus-client would say 0 for what nobody has measured yet
            metric.samples = [
                sample._replace(labels={**sample.labels, "region": self._region})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            if metric.samples:
                yield metric

    def blocks(self, form: Format) -> Iterator[bytes]:
        """The exposition in pieces of at most ``BLOCK`` samples."""
        for metric in self.metrics():
            samples = metric.samples
            for start in range(0, len(samples), BLOCK):
                metric.samples = samples[start : start + BLOCK]
                text = expose((metric,), form)
                # HELP and TYPE stand once, before the first sample.
                yield text.split(b"\n", 2)[2] if start else text


def _made(family: Family, registry: CollectorRegistry) -> MetricWrapperBase:
    if family.kind is Kind.HISTOGRAM:
        return Histogram(
            family.name, family.help, family.extra, registry=registry, buckets=family.buckets
        )
    if family.kind is Kind.INFO:
        return Info(family.base, family.help, registry=registry)
    return _CLASSES[family.kind](family.name, family.help, family.extra, registry=registry)
