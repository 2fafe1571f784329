"""What a metric family is: the shape of a row in the table of ``definitions``."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Types of families, by their OpenMetrics names."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    HISTOGRAM = "histogram"


class Group(StrEnum):
    """Families that share their labels, and so stand in one table of series."""

    TARGET = "target"
    TARGET_INFO = "target info"
    CHECK_INFO = "check info"
    EDGE = "edge"
    CERTIFICATES = "certificates across edges"
    PROVIDER = "provider"
    RESOLVE = "DNS"
    FLOW = "flow"
    PERSONAS = "personas"
    STEP = "step"
    INSTANCE = "server-side instance"
    LATENCY = "latency"
    AGENT = "agent"


BASE_LABELS: Final[dict[Group, tuple[str, ...]]] = {
    Group.TARGET: ("check", "target"),
    Group.TARGET_INFO: ("check", "target"),
    Group.CHECK_INFO: ("check",),
    Group.EDGE: ("check", "client", "edge", "provider", "target"),
    Group.CERTIFICATES: ("check", "key_type", "provider", "target"),
    Group.PROVIDER: ("check", "provider"),
    Group.RESOLVE: ("check", "provider", "target"),
    Group.FLOW: ("check", "persona", "provider", "target"),
    Group.PERSONAS: ("check", "provider", "target"),
    Group.STEP: ("check", "layer", "persona", "provider", "step", "target"),
    Group.INSTANCE: ("check", "header", "instance", "step"),
    Group.LATENCY: (),
    Group.AGENT: (),
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
    kind: Kind
    group: Group
    help: str
    extra: tuple[str, ...] = ()
    when: str = ""
    buckets: tuple[float, ...] = field(default=(), repr=False)
    column: int = -1

    @property
    def base(self) -> str:
        """The family's name in OpenMetrics, where suffixes belong to the samples."""
        if self.kind is Kind.COUNTER:
            return self.name.removesuffix("_total")
        if self.kind is Kind.INFO:
            return self.name.removesuffix("_info")
        return self.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label besides ``region``, sorted."""
        return tuple(sorted((*BASE_LABELS[self.group], *self.extra)))


Sample = tuple[Family, float, tuple[tuple[str, str], ...]]
"""A family, a value, and the labels beyond those of the group. A plain tuple: ten are made per
result."""
