"""A simulated day as series of samples, in the notation of ``promtool test rules``."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from math import ceil

from .virtual import DAY, Span

STEP = 15
SLOTS = int(DAY) // STEP
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Series:
    """The series of one day, as samples; a region that is not scraped has none."""

    def __init__(self) -> None:
        self._rows: dict[str, list[float | None]] = {}
        self.unseen: dict[str, set[int]] = defaultdict(set)

    def hold(self, name: str, value: float | None) -> None:
        """A value for the whole day; None is no series."""
        self._rows.setdefault(name, [value] * (SLOTS + 1))

    def span(self, name: str, span: Span, value: float | None, usually: float | None) -> None:
        """Another value for a while, at least for one sample."""
        self.hold(name, usually)
        row = self._rows[name]
        for slot in samples(span):
            row[slot] = value

    def add(self, name: str, at: float, value: float) -> None:
        """Count at a moment of the day: more in every later sample."""
        self.hold(name, 0.0)
        slot = min(SLOTS, ceil(at / STEP))
        self._rows[name][slot] = (self._rows[name][slot] or 0.0) + value

    def sum_up(self, name: str, restarts: Collection[int]) -> None:
        """Turn what `add` counted into a counter, which begins anew with each restart."""
        total, row = 0.0, self._rows[name]
        for slot, value in enumerate(row):
            total = (value or 0.0) + (0.0 if slot in restarts else total)
            row[slot] = total

    def level(self, name: str, spans: Iterable[Span], usually: float | None) -> None:
        """How many of the spans hold at each sample."""
        self.hold(name, usually)
        row = self._rows[name]
        counts = Counter(slot for span in spans for slot in samples(span))
        for slot, count in counts.items():
            row[slot] = float(count)

    def written(self, hours: int = 24) -> list[dict[str, str]]:
        """In promtool's notation, from midnight on for so many hours."""
        end = hours * 3600 // STEP + 1
        return [
            {"series": name, "values": " ".join(_runs(self._seen(name, row)[:end]))}
            for name, row in self._rows.items()
        ]

    def _seen(self, name: str, row: list[float | None]) -> list[float | None]:
        region = dict(LABEL.findall(name)).get("region", "")
        gone = self.unseen[region]
        if name.startswith("up{"):
            return [0.0 if slot in gone else value for slot, value in enumerate(row)]
        return [None if slot in gone else value for slot, value in enumerate(row)]


def _runs(row: list[float | None]) -> Iterator[str]:
    """Equal samples in one word; a series that ends is marked as Prometheus marks it."""
    at = 0
    while at < len(row):
        end = at
        while end < len(row) and row[end] == row[at]:
            end += 1
        value, count = row[at], end - at
        if value is not None:
            yield f"{value:.10g}+0x{count - 1}" if count > 1 else f"{value:.10g}"
        elif at:
            yield "stale"
            if count > 1:
                yield f"_x{count - 1}"
        else:
            yield f"_x{count}"
        at = end


def samples(span: Span) -> range:
    """The samples taken while something holds; one at least."""
    first = min(SLOTS, ceil(span.start / STEP))
    return range(first, min(SLOTS + 1, max(first + 1, ceil(span.end / STEP))))
