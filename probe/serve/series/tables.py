"""Every table of series, and which of them are written when something changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from probe.model.spec import Check, TlsCheck
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.census import Through
from probe.serve.records import (
    TROUBLED,
    CertificatesKey,
    CertificateSplit,
    CheckKey,
    EdgeRecord,
    FlowRecord,
    InstanceKey,
    ResolveRecord,
    ResultKey,
    StepKey,
    TargetKey,
    TargetRecord,
)
from probe.serve.series import families
from probe.serve.series.edge_samples import (
    edge_samples,
    leaf_samples,
    resolve_samples,
    split_samples,
    steady_edge_samples,
    unlooked_samples,
)
from probe.serve.series.family import SeriesGroup
from probe.serve.series.flow_samples import (
    flow_samples,
    persona_samples,
    steady_flow_samples,
    steady_step_samples,
    step_samples,
)
from probe.serve.series.fragments import FragmentTable
from probe.serve.series.histograms import Histograms
from probe.serve.series.target_samples import steady_target_samples, target_samples

_STEADY_EDGE = (families.EDGE_CONNECT, families.EDGE_HANDSHAKE)
_STEADY_FLOW = (families.FLOW_RUNS, families.FLOW_TOKEN_EXPIRY, families.FLOW_DURATION)
_STEADY_STEP = (families.STEP_ATTEMPTS, families.STEP_STATUS_CODE, families.STEP_DURATION)
_STEADY_TARGET = (
    families.DURATION,
    families.IP_PROTOCOL,
    families.IP_ADDR_HASH,
    families.HTTP_STATUS_CODE,
    families.HTTP_SSL,
    families.FAILED_DUE_TO_REGEX,
    families.HTTP_VERSION,
    families.HTTP_CONTENT_LENGTH,
    families.HTTP_UNCOMPRESSED_BODY_LENGTH,
    families.HTTP_REDIRECTS,
    families.HTTP_DURATION,
)
"""Families whose series may change, come or go when one passing result follows another."""


class Tables:
    """Every table of series, one per group of families.

    Args:
        region: constant label of every series.
    """

    def __init__(self, region: str) -> None:
        self._all: list[FragmentTable[Any]] = []

        def made(group: SeriesGroup) -> FragmentTable[Any]:
            table: FragmentTable[Any] = FragmentTable(group, region)
            self._all.append(table)
            return table

        self.target: FragmentTable[TargetKey] = made(SeriesGroup.TARGET)
        self.target_info: FragmentTable[TargetKey] = made(SeriesGroup.TARGET_INFO)
        self.check_info: FragmentTable[CheckKey] = made(SeriesGroup.CHECK_INFO)
        self.edge: FragmentTable[EdgeKey] = made(SeriesGroup.EDGE)
        self.certificates: FragmentTable[CertificatesKey] = made(SeriesGroup.CERTIFICATES)
        self.provider: FragmentTable[Through] = made(SeriesGroup.PROVIDER)
        self.planned: FragmentTable[ProviderKey] = made(SeriesGroup.PLANNED)
        self.target_planned: FragmentTable[TargetKey] = made(SeriesGroup.TARGET_PLANNED)
        self.resolve: FragmentTable[ProviderKey] = made(SeriesGroup.RESOLVE)
        self.flow: FragmentTable[FlowKey] = made(SeriesGroup.FLOW)
        self.personas: FragmentTable[ProviderKey] = made(SeriesGroup.PERSONAS)
        self.step: FragmentTable[StepKey] = made(SeriesGroup.STEP)
        self.instance: FragmentTable[InstanceKey] = made(SeriesGroup.INSTANCE)
        self.agent: FragmentTable[str] = made(SeriesGroup.AGENT)

    def __iter__(self) -> Iterator[FragmentTable[Any]]:
        """All tables, in the order of the exposition."""
        return iter(self._all)


class Series:
    """Writes the series of what changed.

    Args:
        region: constant label of every series.

    Attributes:
        lag_bound: timings of attempts with a greater lag are left out.
    """

    def __init__(self, region: str) -> None:
        self.tables = Tables(region)
        self.histograms = Histograms(region)
        self._edge_series: dict[str, str] = {}
        self.lag_bound = float("inf")

    def configure(self, checks: Mapping[str, Check], lag_bound: float) -> None:
        """Follow a new configuration: it holds from each record's next result on."""
        self.lag_bound = lag_bound
        self._edge_series = {
            name: check.edge_series for name, check in checks.items() if isinstance(check, TlsCheck)
        }

    def edge(self, record: EdgeRecord) -> None:
        """An edge, if its check wants series for it."""
        samples = edge_samples(record, self.lag_bound) if self._wanted(record) else []
        self.tables.edge.set(record.key, samples)

    def _wanted(self, record: EdgeRecord) -> bool:
        mode = self._edge_series.get(record.key.check, "all")
        telling = record.status in TROUBLED or record.unseen is not None
        return mode == "all" or (mode == "failing" and telling)

    def unlooked(self, key: ResultKey, since: float) -> None:
        """Something that has never had a result, long after it should."""
        samples = unlooked_samples(key, since)
        match key:
            case EdgeKey():
                if self._edge_series.get(key.check, "all") != "none":
                    self.tables.edge.set(key, samples)
            case FlowKey():
                self.tables.flow.set(key, samples)
            case ProviderKey():
                self.tables.resolve.set(key, samples)
            case _:
                assert_never(key)

    def thin(self, record: TargetRecord) -> None:
        """Drop the edges' series that the configuration no longer wants; new ones come by result.

        Nothing is rendered here: a reload must not hold up the probes.
        """
        for edge in record.edges.values():
            if not self._wanted(edge):
                self.tables.edge.drop(edge.key)

    def steady(self, record: EdgeRecord, target: TargetRecord) -> None:
        """An edge that passes as it did before: only what can differ is touched.

        This is nearly every result, and costs a fifth of rendering all.
        """
        samples = steady_edge_samples(record, self.lag_bound)
        if not self.tables.edge.update(record.key, samples, _STEADY_EDGE):
            self.edge(record)
        samples = steady_target_samples(target, self.lag_bound)
        self.tables.target.update(target.key, samples, (families.DURATION,))

    def target(self, record: TargetRecord) -> None:
        """A target, over all that is probed for it; nothing is left when nothing is."""
        samples = [] if record.empty else target_samples(record, self.lag_bound)
        self.tables.target.set(record.key, samples)

    def resolution(self, record: ResolveRecord) -> None:
        """A name resolution."""
        self.tables.resolve.set(record.key, resolve_samples(record))

    def steady_flow(self, record: FlowRecord, target: TargetRecord) -> None:
        """A flow that passes as it did before: only what can differ is touched."""
        tables, bound = self.tables, self.lag_bound
        numbers = steady_flow_samples(record, bound)
        if not tables.flow.update(record.key, numbers, _STEADY_FLOW) or not all(
            tables.step.update(step.key, steady_step_samples(step, bound), _STEADY_STEP)
            for step in record.steps.values()
        ):
            self.flow(record)
        numbers = steady_target_samples(target, bound)
        if target.edges or not tables.target.update(target.key, numbers, _STEADY_TARGET):
            self.target(target)

    def flow(self, record: FlowRecord) -> None:
        """A flow and its steps."""
        self.tables.flow.set(record.key, flow_samples(record, self.lag_bound))
        for step in record.steps.values():
            samples = step_samples(step, self.lag_bound, record.unseen)
            self.tables.step.set(step.key, samples)

    def personas(self, target: TargetRecord, key: FlowKey) -> None:
        """How the personas of a flow compare."""
        through = ProviderKey(key.check, key.target, key.provider)
        alike = [flow for flow in target.flows.values() if flow.key.provider == key.provider]
        self.tables.personas.set(through, persona_samples(alike))

    def certificates(self, key: CertificatesKey, record: TargetRecord) -> None:
        """How certificates compare across edges, and how often they changed."""
        split, leaf = record.splits.get(key), record.leaves.get(key)
        samples = split_samples(split) if split is not None and _told(split, record) else []
        if leaf is not None:
            samples += leaf_samples(leaf)
        self.tables.certificates.set(key, samples)


def _told(split: CertificateSplit, record: TargetRecord) -> bool:
    """Whether a comparison may be said: "alike" is not said of edges nobody looks at."""
    return (
        split.distinct > 1
        or split.alarming
        or not any(
            edge.unseen is not None
            for edge in record.edges.values()
            if split.key.provider in ("", edge.key.provider)
        )
    )
