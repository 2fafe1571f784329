"""The plain path: series as values, exposed by prometheus-client.

The reference that ``fragments.py`` is held equal to, and usable in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from probe.serve.series.family import Family, Sample
from probe.serve.series.text import Format, Labels

Key = TypeVar("Key", bound=Hashable)


class Table(Protocol[Key]):
    """What the store needs of a table of series."""

    families: tuple[Family, ...]

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Key]: ...

    def set(self, key: Key, samples: Iterable[Sample]) -> None:
        """Replace every series of a key."""

    def update(self, key: Key, samples: Iterable[Sample]) -> bool:
        """Replace values of families without labels of their own; False when there is no row."""

    def drop(self, key: Key) -> None:
        """Remove every series of a key, if there are any."""

    def blocks(self, form: Format) -> Iterator[bytes]:
        """The exposition in pieces."""


class SeriesTable(Generic[Key]):
    """The series of one group, as values."""

    def __init__(self, families: Sequence[Family], labels_of: Callable[[Key], Labels]) -> None:
        self.families = tuple(families)
        self._labels_of = labels_of
        self._rows: dict[Key, tuple[Sample, ...]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._rows))

    def set(self, key: Key, samples: Iterable[Sample]) -> None:
        """Replace every series of a key."""
        self._rows[key] = tuple(samples)

    def update(self, key: Key, samples: Iterable[Sample]) -> bool:
        """Replace values of families without labels of their own; False when there is no row."""
        if key not in self._rows:
            return False
        new = tuple(samples)
        replaced = {family for family, _, _ in new}
        kept = tuple(sample for sample in self._rows[key] if sample[0] not in replaced)
        self._rows[key] = kept + new
        return True

    def drop(self, key: Key) -> None:
        """Remove every series of a key, if there are any."""
        self._rows.pop(key, None)

    def metrics(self) -> Iterator[Metric]:
        """The families that have series, in order."""
        for family in self.families:
            metric = Metric(family.base, family.help, str(family.kind))
            for key, samples in self._rows.items():
                labels = dict(self._labels_of(key))
                for own, value, extra in samples:
                    if own is family:
                        metric.add_sample(family.name, labels | dict(extra), value)
            if metric.samples:
                yield metric

    def blocks(self, form: Format) -> Iterator[bytes]:
        """The exposition, a family at a time."""
        for metric in self.metrics():
            yield expose((metric,), form)


class _Metrics:
    """What prometheus-client's encoders ask of a registry."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def expose(metrics: Iterable[Metric], form: Format) -> bytes:
    """The metrics as prometheus-client writes them, without OpenMetrics' end marker."""
    source = _Metrics(metrics)
    if form is Format.OPENMETRICS:
        text = generate_openmetrics(source)  # type: ignore[no-untyped-call]  # theirs has no types
        return bytes(text).removesuffix(b"# EOF\n")
    return bytes(generate_latest(source))
