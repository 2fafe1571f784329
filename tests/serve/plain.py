"""The plain path: series as values, written by prometheus-client, to hold fragments equal to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast
from unittest.mock import patch

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from probe.serve import Store
from probe.serve.series.families import of_group
from probe.serve.series.family import BASE_LABELS, Family, Sample, SeriesGroup
from probe.serve.series.histograms import Histogram

RowKey = TypeVar("RowKey", bound=Hashable)


class SeriesTable(Generic[RowKey]):
    """The series of one group, as values."""

    def __init__(self, group: SeriesGroup, region: str) -> None:
        self.families = of_group(group)
        self._labels, self._region = BASE_LABELS[group], region
        self._rows: dict[RowKey, tuple[Sample, ...]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowKey]:
        return iter(list(self._rows))

    def set(self, key: RowKey, samples: Sequence[Sample]) -> None:
        """Replace every series of a key; none are left where there are no samples."""
        if not samples:
            self.drop(key)
            return
        self._rows[key] = tuple(samples)

    def update(
        self, key: RowKey, samples: Iterable[Sample], changing: Iterable[Family] = ()
    ) -> bool:
        """Replace every series of some families; false when the key has no row."""
        if key not in self._rows:
            return False
        new = tuple(samples)
        replaced = {*changing, *(family for family, _, _ in new)}
        kept = tuple(sample for sample in self._rows[key] if sample[0] not in replaced)
        self._rows[key] = kept + new
        return True

    def drop(self, key: RowKey) -> None:
        """Remove every series of a key, if there are any."""
        self._rows.pop(key, None)

    def metrics(self) -> Iterator[Metric]:
        """The families that have series, in order."""
        for family in self.families:
            metric = Metric(family.base, family.help, str(family.kind))
            for key, samples in self._rows.items():
                labels = {name: whole(getattr(key, name)) for name in self._labels}
                labels["region"] = whole(self._region)
                for own, value, extra in samples:
                    if own is family:
                        metric.add_sample(family.name, labels | dict(extra), value)
            if metric.samples:
                yield metric


def whole(value: str) -> str:
    """The value, what UTF-8 cannot hold as an escape."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in value
    )


def plain(made: Callable[[], Store]) -> Store:
    """A store whose tables keep values."""
    with patch("probe.serve.series.tables.FragmentTable", SeriesTable):
        return made()


class StoreCollector(Collector):
    """A plain store as a collector of prometheus-client, without the series of the process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """The families that have series, in the order of the exposition."""
        for _ in self._store.refresh():
            pass
        for table in self._store.series.tables:
            yield from cast("SeriesTable[Any]", table).metrics()
        for histogram in self._store.series.histograms:
            if histogram.series:
                yield _metric(histogram, self._store.region)


def _metric(histogram: Histogram, region: str) -> Metric:
    family = histogram.family
    metric = Metric(family.base, family.help, str(family.kind))
    bounds = (*map(str, family.buckets), "+Inf")
    for labels, buckets in histogram.series.items():
        named = {name: whole(text) for name, text in labels} | {"region": whole(region)}
        total = 0
        for place, (bound, count) in enumerate(zip(bounds, buckets.counts, strict=True)):
            total += count
            traced = buckets.traced.get(place)
            exemplar = traced and Exemplar({"trace_id": traced[0]}, traced[1], traced[2])
            metric.add_sample(
                f"{family.name}_bucket", {**named, "le": bound}, total, exemplar=exemplar
            )
        metric.add_sample(f"{family.name}_count", named, total)
        metric.add_sample(f"{family.name}_sum", named, buckets.total)
    return metric
