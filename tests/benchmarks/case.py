"""What a case gets and what it gives."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .pki import Pki


@dataclass(frozen=True)
class Bench:
    """What every case works with.

    Attributes:
        folder: for configurations and logs; one for each case.
        quick: less of everything: to see that it works, not to quote.
        ours: the core of the prober under measurement.
        theirs: the core of servers and clients.
    """

    folder: Path
    pki: Pki
    quick: bool
    ours: int
    theirs: int | None


@dataclass
class Report:
    """One case's outcome: a table for people, plain values for JSON.

    Attributes:
        bars: what was to be held, and whether it was, in words.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bars: list[tuple[str, bool]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def add(self, *cells: str) -> None:
        """A row."""
        self.rows.append(cells)

    def hold(self, words: str, held: bool) -> None:
        """A bar and whether it was held."""
        self.bars.append((words, held))


@dataclass(frozen=True)
class Spread:
    """Median and range of repeated measurements."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def text(self, scale: float = 1.0, form: str = ".0f") -> str:
        """``median (least-greatest)``."""
        middle, low, high = (
            format(value * scale, form)
            for value in (self.median, min(self.values), max(self.values))
        )
        return f"{middle} ({low}–{high})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
