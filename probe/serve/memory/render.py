"""From records to the tables of series: which series are written when something changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from probe.model.spec import Check, TlsCheck
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.memory.records import TROUBLED, EdgeRecord, FlowRecord, ResolveRecord, TargetRecord
from probe.serve.series.flow_samples import flow_samples, step_samples
from probe.serve.series.samples import (
    edge_samples,
    resolve_samples,
    steady_edge_samples,
    unlooked_samples,
)
from probe.serve.series.split import CertificateSplit, split_samples
from probe.serve.series.tables import Tables
from probe.serve.series.target_samples import steady_target_samples, target_samples


class Renderer:
    """Writes the series of a record.

    Attributes:
        lag_bound: timings of attempts with a greater lag are left out.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
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
        if self._wanted(record):
            self._tables.edge.set(record.key, edge_samples(record, self.lag_bound))
        else:
            self._tables.edge.drop(record.key)

    def _wanted(self, record: EdgeRecord) -> bool:
        mode = self._edge_series.get(record.key.check, "all")
        telling = record.status in TROUBLED or record.unseen is not None
        return mode == "all" or (mode == "failing" and telling)

    def unlooked(self, key: EdgeKey | FlowKey | ProviderKey, since: float) -> None:
        """Something that has never had a result, long after it should."""
        samples = unlooked_samples(key, since)
        match key:
            case EdgeKey():
                if self._edge_series.get(key.check, "all") != "none":
                    self._tables.edge.set(key, samples)
            case FlowKey():
                self._tables.flow.set(key, samples)
            case ProviderKey():
                self._tables.resolve.set(key, samples)
            case _:
                assert_never(key)

    def thin(self, record: TargetRecord) -> None:
        """Drop the edges' series that the configuration no longer wants; new ones come by result.

        Nothing is rendered here: a reload must not hold up the probes.
        """
        for edge in record.edges.values():
            if not self._wanted(edge):
                self._tables.edge.drop(edge.key)

    def steady(self, record: EdgeRecord, target: TargetRecord) -> None:
        """An edge that passes as it did before: only what can differ is touched.

        This is nearly every result, and costs a fifth of rendering all.
        """
        samples = steady_edge_samples(record, self.lag_bound)
        if not self._tables.edge.update(record.key, samples):
            self.edge(record)
        self._tables.target.update(target.key, steady_target_samples(target, self.lag_bound))

    def target(self, record: TargetRecord) -> None:
        """A target, over all that is probed for it; nothing is left when nothing is."""
        if record.empty:
            self._tables.target.drop(record.key)
        else:
            self._tables.target.set(record.key, target_samples(record, self.lag_bound))

    def resolution(self, record: ResolveRecord) -> None:
        """A name resolution."""
        self._tables.resolve.set(record.key, resolve_samples(record))

    def flow(self, record: FlowRecord) -> None:
        """A flow and its steps."""
        self._tables.flow.set(record.key, flow_samples(record, self.lag_bound))
        for step in record.steps.values():
            samples = step_samples(step, self.lag_bound, record.unseen)
            self._tables.step.set(step.key, samples)

    def split(self, split: CertificateSplit, record: TargetRecord) -> None:
        """How certificates compare across edges; "alike" is not said of edges nobody looks at."""
        told = (
            split.distinct > 1
            or split.alarming
            or not any(
                edge.unseen is not None
                for edge in record.edges.values()
                if split.key.provider in ("", edge.key.provider)
            )
        )
        if told:
            self._tables.certificates.set(split.key, split_samples(split))
        else:
            self._tables.certificates.drop(split.key)

    def all_of(self, record: TargetRecord) -> None:
        """A target and everything under it, from scratch."""
        for edge in record.edges.values():
            self.edge(edge)
        for resolution in record.resolutions.values():
            self.resolution(resolution)
        for flow in record.flows.values():
            self.flow(flow)
        self.target(record)
