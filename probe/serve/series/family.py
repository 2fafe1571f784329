"""What a metric family is, and how the text formats write its parts. Pure.

Both formats (Prometheus text 0.0.4, OpenMetrics 1.0) share the syntax of a sample; they differ
in the headers of families. prometheus-client is the reference: a test holds every byte equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Final

from prometheus_client.utils import floatToGoString

from probe.model.failure import printable


class MetricType(StrEnum):
    """Types of families, by their OpenMetrics names."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    HISTOGRAM = "histogram"


class SeriesGroup(StrEnum):
    """Families that share their labels, and so stand in one table of series."""

    TARGET = "target"
    TARGET_INFO = "target info"
    CHECK_INFO = "check info"
    EDGE = "edge"
    CERTIFICATES = "certificates across edges"
    PROVIDER = "provider"
    PLANNED = "planned"
    TARGET_PLANNED = "planned targets"
    RESOLVE = "DNS"
    FLOW = "flow"
    PERSONAS = "personas"
    STEP = "step"
    INSTANCE = "server-side instance"
    LATENCY = "latency"
    AGENT = "agent"


BASE_LABELS: Final[dict[SeriesGroup, tuple[str, ...]]] = {
    SeriesGroup.TARGET: ("check", "target"),
    SeriesGroup.TARGET_INFO: ("check", "target"),
    SeriesGroup.CHECK_INFO: ("check",),
    SeriesGroup.EDGE: ("check", "client", "edge", "provider", "target"),
    SeriesGroup.CERTIFICATES: ("check", "key_type", "provider", "target"),
    SeriesGroup.PROVIDER: ("check", "provider"),
    SeriesGroup.PLANNED: ("check", "provider", "target"),
    SeriesGroup.TARGET_PLANNED: ("check", "target"),
    SeriesGroup.RESOLVE: ("check", "provider", "target"),
    SeriesGroup.FLOW: ("check", "persona", "provider", "target"),
    SeriesGroup.PERSONAS: ("check", "provider", "target"),
    SeriesGroup.STEP: ("check", "layer", "persona", "provider", "step", "target"),
    SeriesGroup.INSTANCE: ("check", "header", "instance", "step"),
    SeriesGroup.LATENCY: (),
    SeriesGroup.AGENT: (),
}
"""Labels that every family of a group has, besides ``region``."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family.

    Attributes:
        name: as its samples are called: counters end in ``_total``, infos in ``_info``;
            a histogram's samples add their own suffixes.
        help: one sentence, no quotes and no backslashes.
        extra: labels beyond those of the group.
        when: when a series exists, if not always; for the reference.
        buckets: upper bounds in seconds, only for histograms.
        column: place within the group, set by the table.
    """

    name: str
    kind: MetricType
    group: SeriesGroup
    help: str
    extra: tuple[str, ...] = ()
    when: str = ""
    buckets: tuple[float, ...] = field(default=(), repr=False)
    column: int = -1

    @property
    def base(self) -> str:
        """The family's name in OpenMetrics, where suffixes belong to the samples."""
        if self.kind is MetricType.COUNTER:
            return self.name.removesuffix("_total")
        if self.kind is MetricType.INFO:
            return self.name.removesuffix("_info")
        return self.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label besides ``region``, sorted."""
        return tuple(sorted((*BASE_LABELS[self.group], *self.extra)))


LabelPairs = tuple[tuple[str, str], ...]
"""Names and values of labels, sorted by name, values without lone surrogates."""

Sample = tuple[Family, float, LabelPairs]
"""A family, a value, and the labels beyond those of the group. A plain tuple: ten are made per
result."""


def present(*values: tuple[Family, float | None]) -> list[Sample]:
    """Samples of families without labels of their own; none for what was not measured."""
    return [(family, float(value), ()) for family, value in values if value is not None]


class Format(Enum):
    """An exposition format and its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def clean(value: str) -> str:
    """A label value that any reader takes: one odd name must not end every scrape."""
    return printable(value)


def escape(value: str) -> str:
    """A label value with backslash, newline and double quote escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """``{a="x",b="y"}``, or nothing for no labels."""
    inner = ",".join([f'{name}="{escape(value)}"' for name, value in labels])
    return f"{{{inner}}}" if inner else ""


def number(value: float) -> str:
    """A sample's value as both formats write it."""
    if -1e6 < value < 1e6:
        return repr(float(value))  # where Go and Python agree: nearly all values of a probe
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # theirs has no types


@lru_cache(maxsize=4096)
def frequent_number(value: float) -> bytes:
    """The end of a sample's line, shared between the series that hold the same value."""
    return f"{number(value)}\n".encode()


def header(family: Family, form: Format) -> bytes:
    """The HELP and TYPE lines of a family."""
    if form is Format.OPENMETRICS:
        name, kind, text = family.base, str(family.kind), escape(family.help)
    else:
        name = family.name
        kind = "gauge" if family.kind is MetricType.INFO else str(family.kind)
        text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()
