"""The fast path: series as bytes, rendered once per result and joined at the scrape.

Why: 10,000 edges make some 250,000 series. Building them as objects and formatting them at each
scrape, as prometheus-client does, takes seconds of CPU on the loop that also times handshakes;
joining what is already bytes takes a small fraction of that. A test holds it equal to
prometheus-client's own, byte for byte.

A row is one edge (or target, flow, …): its labels once, and per family a cell. For families
without labels of their own the cell is just the value, so a row costs one label text and not one
per series; for the others it is the finished lines, their labels spliced into the row's text. An
absent cell is None.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from probe.serve.series.families import of_group
from probe.serve.series.family import (
    BASE_LABELS,
    Family,
    Format,
    LabelPairs,
    Sample,
    SeriesGroup,
    clean,
    escape,
    frequent_number,
    header,
    label_text,
    number,
)

RowKey = TypeVar("RowKey", bound=Hashable)
FragmentRow = list[bytes | None]

BLOCK = 2000
"""Rows joined in one go: about half a millisecond."""


class FragmentTable(Generic[RowKey]):
    """The series of one group, as fragments.

    Args:
        group: of families. Its labels are attributes of a row's key.
        region: constant label of every series.
    """

    def __init__(self, group: SeriesGroup, region: str) -> None:
        self.families = of_group(group)
        self._labels = BASE_LABELS[group]
        self._region = clean(region)
        self._rows: dict[RowKey, FragmentRow] = {}
        self._names = sorted((*self._labels, "region"))
        self._markers = [f',{name}="'.encode() for name in self._names]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowKey]:
        return iter(list(self._rows))

    def set(self, key: RowKey, samples: Sequence[Sample]) -> None:
        """Replace every series of a key; none are left where there are no samples."""
        if not samples:
            self.drop(key)
            return
        old = self._rows.get(key)
        labels = (old and old[0]) or self._labels_of(key)
        row: FragmentRow = [None] * (len(self.families) + 1)
        row[0] = labels
        self._rows[key] = row
        self._fill(row, samples)

    def update(
        self, key: RowKey, samples: Iterable[Sample], changing: Iterable[Family] = ()
    ) -> bool:
        """Replace every series of some families; false when the key has no row.

        Args:
            key: of the row.
            samples: of families without labels of their own, or of those that change.
            changing: families of which no other series are left.
        """
        row = self._rows.get(key)
        if row is None:
            return False
        for family in changing:
            row[family.column + 1] = None
        self._fill(row, samples)
        return True

    def _fill(self, row: FragmentRow, samples: Iterable[Sample]) -> None:
        labels = row[0] or b""
        for family, value, extra in samples:
            place = family.column + 1
            if family.extra:
                line = b"".join((family.name.encode(), self._spliced(labels, extra), _end(value)))
                present = row[place]
                row[place] = line if present is None else present + line
            else:
                row[place] = _end(value)

    def _labels_of(self, key: RowKey) -> bytes:
        labels = [(name, clean(getattr(key, name))) for name in self._labels]
        return f"{label_text(sorted([*labels, ('region', self._region)]))} ".encode()

    def _spliced(self, labels: bytes, extra: LabelPairs) -> bytes:
        """The row's label text with further labels in their sorted places.

        Looking for ``,name="`` finds labels only, whatever the values hold: inside a value
        every quote is escaped, so ``="`` does not occur there.
        """
        front = b"{"
        for name, value in extra:
            text = f'{name}="{escape(value)}",'.encode()
            place = bisect(self._names, name)
            if place == 0:
                front += text
            elif place < len(self._names):
                marker = self._markers[place]
                labels = labels.replace(marker, b"," + text + marker[1:], 1)
            else:
                labels = b"".join((labels[:-2], b",", text[:-1], b"} "))
        return front + labels[1:]

    def drop(self, key: RowKey) -> None:
        """Remove every series of a key, if there are any."""
        self._rows.pop(key, None)

    def blocks(self, form: Format) -> Iterator[bytes]:
        """The exposition in pieces of at most ``BLOCK`` rows; pause between them at will.

        The rows are those present at the start, so that every family has the same.
        """
        rows = list(self._rows.values())
        for family in self.families:
            pending = header(family, form)
            for start in range(0, len(rows), BLOCK):
                piece = _join(family, rows[start : start + BLOCK])
                if piece:
                    yield pending + piece
                    pending = b""
                else:
                    yield b""


def _end(value: float) -> bytes:
    """The end of a sample's line."""
    return frequent_number(value) if value.is_integer() else f"{number(value)}\n".encode()


def _join(family: Family, rows: Iterable[FragmentRow]) -> bytes:
    place = family.column + 1
    if family.extra:
        return b"".join([cell for row in rows if (cell := row[place]) is not None])
    name = family.name.encode()
    return b"".join(
        [
            piece
            for row in rows
            if (cell := row[place]) is not None and (labels := row[0]) is not None
            for piece in (name, labels, cell)
        ]
    )
