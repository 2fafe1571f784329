"""Which targets a maintenance window covers now, by provider, and the series that say so.

Nothing here makes anything healthy: what fails goes on failing, and is called planned as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from probe.model.maintenance import Window
from probe.model.target import ProviderKey
from probe.serve.census import Census, ProviderCensus, Through
from probe.serve.records import ResultKey, TargetKey
from probe.serve.series import families
from probe.serve.series.tables import Tables
from probe.state.maintenance import Maintenance, covering

_PART = 500
"""Targets in one short step."""


@dataclass(slots=True)
class _Look:
    """What was found of one provider of a check.

    Attributes:
        windows: those that were open.
        version: of its census.
        targets: all that it has.
        covered: those that a window covers, with the window.
    """

    windows: tuple[Window, ...] = ()
    version: int = -1
    targets: frozenset[str] = frozenset()
    covered: Mapping[str, Window] = field(default_factory=dict)


class PlannedBook:
    """What is planned now.

    Args:
        region: where the agent runs.
        census: everything that is to be judged.
        tables: take the series.

    Attributes:
        tell: told of each window that begins (True) or is over (False), once.
    """

    def __init__(self, region: str, census: Census, tables: Tables) -> None:
        self._maintenance = Maintenance(region)
        self._census = census
        self._tables = tables
        self._looks: dict[Through, _Look] = {}
        self.tell: Callable[[Window, bool], object] = lambda *_: None
        self.open: tuple[Window, ...] = ()

    def follow(self, windows: Iterable[Window]) -> None:
        """Take the windows of a new configuration; the next look tells what that changes."""
        self._maintenance.follow(windows)

    def of(self, key: ResultKey) -> Window | None:
        """Find the open window that covers an edge, flow or name, as of the latest look."""
        return covering(self.open, ProviderKey(key.check, key.target, key.provider))

    def count(self, window: Window) -> int:
        """Count the targets for which this window is the one that covers them last."""
        found = {
            (through.check, target)
            for through, look in self._looks.items()
            for target, one in look.covered.items()
            if one == window
        }
        return len(found)

    def look(self, now: float) -> Iterator[None]:
        """Bring everything up to date with the wall time, in short steps."""
        turn = self._maintenance.turn(now)
        self.open = self._maintenance.open(now)
        for window in turn.began:
            self.tell(window, True)
        for window in turn.ended:
            self.tell(window, False)
        if not self.open and not self._looks:
            return
        changed = False
        for through, census in list(self._census.providers.items()):
            look = self._looks.get(through, _Look())
            if (look.windows, look.version) != (self.open, census.version):
                changed = True
                yield from self._look(through, census, look)
        for through in self._looks.keys() - self._census.providers.keys():
            changed = True
            yield from self._write(through, self._looks.pop(through).covered, {})
        if changed:
            yield from self._whole_targets()
        if not self.open:
            self._looks.clear()

    def _look(self, through: Through, census: ProviderCensus, before: _Look) -> Iterator[None]:
        windows, version = self.open, census.version
        targets = frozenset(key.target for key in census.members)
        covered: dict[str, Window] = {}
        for place, target in enumerate(targets):
            key = ProviderKey(through.check, target, through.provider)
            window = covering(windows, key)
            if window is not None:
                covered[target] = window
            if place % _PART == _PART - 1:
                yield
        census.planned = frozenset(covered)
        self._looks[through] = _Look(windows, version, targets, covered)
        yield from self._write(through, before.covered, covered)

    def _write(
        self, through: Through, before: Mapping[str, Window], now: Mapping[str, Window]
    ) -> Iterator[None]:
        table = self._tables.planned
        for place, target in enumerate([*before.keys() - now.keys(), *now]):
            window = now.get(target)
            key = ProviderKey(through.check, target, through.provider)
            if window is None:
                table.drop(key)
            elif window != before.get(target):
                table.set(key, [(families.PLANNED_UNTIL, window.end, ())])
            if place % _PART == _PART - 1:
                yield

    def _whole_targets(self) -> Iterator[None]:
        """Write the series of targets that windows cover through all of their providers."""
        ends: dict[TargetKey, float] = {}
        partly: set[TargetKey] = set()
        for through, look in list(self._looks.items()):
            for target in look.targets:
                key, window = TargetKey(through.check, target), look.covered.get(target)
                if window is None:
                    partly.add(key)
                else:
                    ends[key] = min(window.end, ends.get(key, window.end))
            yield
        table = self._tables.target_planned
        for key in table:
            if key in partly or key not in ends:
                table.drop(key)
        for place, (key, end) in enumerate(ends.items()):
            if key not in partly:
                table.set(key, [(families.TARGET_PLANNED_UNTIL, end, ())])
            if place % _PART == _PART - 1:
                yield
