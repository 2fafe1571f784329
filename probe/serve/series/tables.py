"""The tables of series, one per group of families, in the order of the exposition."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.memory.census import Through
from probe.serve.memory.records import InstanceKey, StepKey, TargetKey
from probe.serve.series.definitions import of_group
from probe.serve.series.family import BASE_LABELS, Group
from probe.serve.series.fragments import FragmentTable
from probe.serve.series.plain import SeriesTable, Table
from probe.serve.series.split import CertificatesKey
from probe.serve.series.text import Labels, clean

Key = TypeVar("Key", bound=Hashable)


class Tables:
    """Every table of series.

    Args:
        region: constant label of every series.
        plain: keep values and let prometheus-client write them, instead of fragments.
    """

    def __init__(self, region: str, *, plain: bool = False) -> None:
        self._region = clean(region)
        self._plain = plain
        self.target: Table[TargetKey] = self._made(Group.TARGET, tuple)
        self.target_info: Table[TargetKey] = self._made(Group.TARGET_INFO, tuple)
        self.check_info: Table[str] = self._made(Group.CHECK_INFO, lambda check: (check,))
        self.edge: Table[EdgeKey] = self._made(
            Group.EDGE, lambda key: (key.check, key.client, key.edge, key.provider, key.target)
        )
        self.certificates: Table[CertificatesKey] = self._made(
            Group.CERTIFICATES, lambda key: (key.check, key.key_type, key.provider, key.target)
        )
        self.provider: Table[Through] = self._made(Group.PROVIDER, tuple)
        self.resolve: Table[ProviderKey] = self._made(
            Group.RESOLVE, lambda key: (key.check, key.provider, key.target)
        )
        self.flow: Table[FlowKey] = self._made(
            Group.FLOW, lambda key: (key.check, key.persona, key.provider, key.target)
        )
        self.personas: Table[ProviderKey] = self._made(
            Group.PERSONAS, lambda key: (key.check, key.provider, key.target)
        )
        self.step: Table[StepKey] = self._made(Group.STEP, _step_values)
        self.instance: Table[InstanceKey] = self._made(
            Group.INSTANCE, lambda key: (key.check, key.header, key.instance, key.step)
        )

    def __iter__(self) -> Iterator[Table[Any]]:
        """All tables, in the order of the exposition."""
        tables = vars(self).values()
        return iter([table for table in tables if isinstance(table, FragmentTable | SeriesTable)])

    def _made(self, group: Group, values_of: Callable[[Key], tuple[str, ...]]) -> Table[Key]:
        names = BASE_LABELS[group]
        region = ("region", self._region)

        def labels_of(key: Key) -> Labels:
            values = map(clean, values_of(key))
            return tuple(sorted((*zip(names, values, strict=True), region)))

        table = SeriesTable if self._plain else FragmentTable
        return table(of_group(group), labels_of)


def _step_values(key: StepKey) -> tuple[str, ...]:
    flow = key.flow
    return (flow.check, key.layer, flow.persona, flow.provider, key.step, flow.target)
