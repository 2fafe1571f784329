"""What the store remembers of everything probed, and how things go from it with all they left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from probe.model.failure import Failure
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.memory.census import Census
from probe.serve.memory.flows import FlowBook
from probe.serve.memory.records import ResolveRecord, TargetKey, TargetRecord
from probe.serve.memory.render import Renderer
from probe.serve.series.instruments import Instruments
from probe.serve.series.split import CertificatesKey, CertificateSplit
from probe.serve.series.tables import Tables
from probe.state.silence import Silence

Key = EdgeKey | FlowKey | ProviderKey


class Memory:
    """Records by target, and indexes of what a person wants to see without a search.

    Attributes:
        targets: everything that is probed.
        census: counts per provider.
        silence: what nobody has judged for too long, of all that is to be judged.
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
        self.silence: Silence[Key] = Silence()
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
            self._gone(key)
            return
        self._remove(record, key)
        self._settle(record)

    def forget_target(self, record: TargetRecord) -> None:
        """Remove a target with everything under it."""
        for key in [*record.edges, *record.flows, *record.resolutions, *record.missing]:
            self._remove(record, key)
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

    def _gone(self, key: Key) -> None:
        """What is not to be judged any more."""
        self.census.remove(key)
        self.silence.forget(key)
        self.blind.pop(key, None)

    def _remove(self, record: TargetRecord, key: Key) -> None:
        self._gone(key)
        record.met(key)
        match key:
            case EdgeKey():
                record.edges.pop(key, None)
                self._tables.edge.drop(key)
            case FlowKey():
                self.flows.forget(record, key)
            case ProviderKey():
                self._remove_provider(record, key)
            case _:
                assert_never(key)

    def _remove_provider(self, record: TargetRecord, key: ProviderKey) -> None:
        for one in [*record.edges, *record.flows, *record.missing]:
            if one.provider == key.provider:
                self._remove(record, one)
        record.resolutions.pop(key, None)
        self.unresolved.pop(key, None)
        self._tables.resolve.drop(key)
        self._forget_splits(record, [k for k in record.splits if k.provider == key.provider])

    def _forget_splits(self, record: TargetRecord, keys: Iterable[CertificatesKey]) -> None:
        for key in keys:
            record.splits.pop(key, None)
            self.differing.pop(key, None)
            self._tables.certificates.drop(key)
