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
        self._work: Iterator[None] | None = None
        self._due = False
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
        """Bring everything up to date with the wall time, in short steps.

        Loop, scrapes and pages look at once: one update is at work at a time, and each look ends
        with an update that began after it.
        """
        turn = self._maintenance.turn(now)
        self.open = self._maintenance.open(now)
        for window in turn.began:
            self.tell(window, True)
        for window in turn.ended:
            self.tell(window, False)
        yield from self._finish()
        self._work = self._update(self.open)
        yield from self._finish()

    def _finish(self) -> Iterator[None]:
        """Take the steps of the update at work, whoever began it: several may take them in turn.

        Whoever is cancelled leaves the rest to the next.
        """
        while (work := self._work) is not None:
            for _ in work:
                yield
            if self._work is work:
                self._work = None

    def _update(self, windows: tuple[Window, ...]) -> Iterator[None]:
        """Make looks and series follow the windows; what breaks off is due again."""
        if not windows and not self._looks and not self._due:
            return
        for through, census in list(self._census.providers.items()):
            look = self._looks.get(through, _Look())
            if (look.windows, look.version) != (windows, census.version):
                self._due = True
                yield from self._look(through, census, windows)
        for through in self._looks.keys() - self._census.providers.keys():
            self._due = True
            del self._looks[through]
        if self._due:
            yield from self._drop()
            yield from self._whole_targets()
            self._due = False
        if not windows:
            self._looks.clear()

    def _look(
        self, through: Through, census: ProviderCensus, windows: tuple[Window, ...]
    ) -> Iterator[None]:
        version = census.version
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
        for place, (target, window) in enumerate(covered.items()):
            key = ProviderKey(through.check, target, through.provider)
            self._tables.planned.set(key, [(families.PLANNED_UNTIL, window.end, ())])
            if place % _PART == _PART - 1:
                yield
        self._looks[through] = _Look(windows, version, targets, covered)

    def _drop(self) -> Iterator[None]:
        """Drop the series of what no window covers, whoever wrote them."""
        table = self._tables.planned
        for place, key in enumerate(table):
            look = self._looks.get(Through(key.check, key.provider))
            if look is None or key.target not in look.covered:
                table.drop(key)
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
