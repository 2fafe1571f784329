"""What the store remembers of everything probed, and how things go from it with all they left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from probe.model.failure import Failure
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.census import Census
from probe.serve.flows import FlowBook
from probe.serve.instruments import Instruments
from probe.serve.records import ResolveRecord, TargetKey, TargetRecord
from probe.serve.render import Renderer
from probe.serve.split import CertificatesKey, CertificateSplit
from probe.serve.tables import Tables

Key = EdgeKey | FlowKey | ProviderKey


class Memory:
    """Records by target, and indexes of what a person wants to see without a search.

    Attributes:
        targets: everything that is probed.
        census: counts per provider.
        flows: runs of flows.
        blind: edges, flows and names whose latest result was inconclusive.
        unresolved: name resolutions whose latest question failed.
        differing: certificates that differ across edges now.
    """

    def __init__(self, tables: Tables, render: Renderer, instruments: Instruments) -> None:
        self._tables = tables
        self._render = render
        self.targets: dict[TargetKey, TargetRecord] = {}
        self.census = Census()
        self.flows = FlowBook(tables, render, self.census, instruments)
        self.blind: dict[Key, Failure] = {}
        self.unresolved: dict[ProviderKey, ResolveRecord] = {}
        self.differing: dict[CertificatesKey, CertificateSplit] = {}

    def target(self, key: TargetKey) -> TargetRecord:
        """The record of a target, made when it is new."""
        record = self.targets.get(key)
        if record is None:
            record = self.targets[key] = TargetRecord(key)
        return record

    def forget(self, key: Key) -> None:
        """Remove an edge, a flow, or all of a target through a provider; nothing if not there."""
        record = self.targets.get(TargetKey(key.check, key.target))
        if record is None:
            return
        match key:
            case EdgeKey():
                self._forget_edge(record, key)
            case FlowKey():
                self._forget_flow(record, key)
            case ProviderKey():
                self._forget_provider(record, key)
            case _:
                assert_never(key)
        self._settle(record)

    def forget_target(self, record: TargetRecord) -> None:
        """Remove a target with everything under it."""
        for edge in list(record.edges):
            self._forget_edge(record, edge)
        for flow in list(record.flows):
            self._forget_flow(record, flow)
        for through in list(record.resolutions):
            self._forget_provider(record, through)
        self._settle(record)

    def forget_split(self, key: CertificatesKey) -> None:
        """Remove a comparison of which no edge is left."""
        record = self.targets.get(TargetKey(key.check, key.target))
        if record is not None:
            self._forget_splits(record, [key])

    def _settle(self, record: TargetRecord) -> None:
        """Write a target's series after something of it was removed."""
        if record.empty:
            self.targets.pop(record.key, None)
            self._forget_splits(record, list(record.splits))
        self._render.target(record)

    def _forget_edge(self, record: TargetRecord, key: EdgeKey) -> None:
        if record.edges.pop(key, None) is not None:
            self.census.remove(key)
            self.blind.pop(key, None)
        self._tables.edge.drop(key)

    def _forget_flow(self, record: TargetRecord, key: FlowKey) -> None:
        self.flows.forget(record, key)
        self.blind.pop(key, None)

    def _forget_provider(self, record: TargetRecord, key: ProviderKey) -> None:
        for edge in [edge for edge in record.edges if edge.through == key]:
            self._forget_edge(record, edge)
        for flow in [flow for flow in record.flows if flow.provider == key.provider]:
            self._forget_flow(record, flow)
        if record.resolutions.pop(key, None) is not None:
            self.census.remove(key)
            self.unresolved.pop(key, None)
            self.blind.pop(key, None)
        self._tables.resolve.drop(key)
        self._forget_splits(record, [k for k in record.splits if k.provider == key.provider])

    def _forget_splits(self, record: TargetRecord, keys: Iterable[CertificatesKey]) -> None:
        for key in keys:
            record.splits.pop(key, None)
            self.differing.pop(key, None)
            self._tables.certificates.drop(key)
