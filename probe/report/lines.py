"""What a pipe gets: one line for each finding, never wrapped, so that ``grep`` works. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from probe.report.differences import MOST_PATTERNS, patterns
from probe.report.findings import (
    MARKS,
    WORDS,
    details,
    findings,
    headline,
    revocation,
    sessions,
    totals,
)
from probe.report.rows import ReportRow, RowVerdict

BETWEEN = " | "


def lines(rows: Sequence[ReportRow], *, all_rows: bool) -> Iterator[str]:
    """Say what does not pass, a line each, then how certificates differ, then the counts."""
    for finding in findings(rows, all_flows=all_rows):
        head = f"{MARKS[finding.verdict]} {WORDS[finding.verdict]} {headline(finding)}"
        yield one_line(head, *(text.strip() for _, text in details(finding)))
    if all_rows:
        passing = [row for row in rows if row.verdict is RowVerdict.PASS and not row.flow]
        yield from aligned([_short(row) for row in passing])
    found = patterns(rows)
    for pattern in found[:MOST_PATTERNS]:
        yield one_line("certificates that differ between edges", *pattern.words(None))
    if len(found) > MOST_PATTERNS:
        yield more_patterns(len(found))
    yield from (text for _, text in sessions(rows))
    yield totals(rows)
    if said := revocation(rows):
        yield said


def more_patterns(count: int) -> str:
    """Say how many patterns are left out."""
    return f"{count - MOST_PATTERNS} more ways in which certificates differ; -o json has all rows"


def one_line(*parts: str) -> str:
    """Join texts to one line; what servers said may hold line ends."""
    return BETWEEN.join(" ".join(part.split("\n")) for part in parts if part)


def _short(row: ReportRow) -> tuple[str, ...]:
    mark = f"{MARKS[row.verdict]} {WORDS[row.verdict]}"
    return (
        mark,
        row.check,
        row.target,
        row.provider,
        row.edge,
        row.what,
        milliseconds(row),
        until(row),
    )


def milliseconds(row: ReportRow) -> str:
    """How long it took: ``12 ms``; empty for what did not run."""
    return "" if row.seconds is None else f"{row.seconds * 1000:.0f} ms"


def until(row: ReportRow) -> str:
    """The certificate and the day on which it expires; empty without one."""
    if row.expires is None:
        return ""
    return f"{row.certificate[:12]} until {datetime.fromtimestamp(row.expires, UTC):%Y-%m-%d}"


_COLUMNS = (
    "verdict",
    "check",
    "target",
    "provider",
    "edge",
    "what",
    "layer",
    "why",
    "ms",
    "certificate",
    "key",
    "expires",
    "revocation",
    "session",
    "browser",
    "detail",
    "notes",
    "command",
)


def wide(rows: Sequence[ReportRow]) -> Iterator[str]:
    """Show every row with every column, then the counts. ``-`` stands for what is empty."""
    yield from aligned([_COLUMNS, *map(_all_of, rows)])
    yield totals(rows)


def _all_of(row: ReportRow) -> tuple[str, ...]:
    day = "" if row.expires is None else f"{datetime.fromtimestamp(row.expires, UTC):%Y-%m-%d}"
    cells = (
        row.verdict.value,
        row.check,
        row.target,
        row.provider,
        row.edge,
        row.what,
        row.layer,
        f"{row.phase}/{row.reason}" if row.reason else "",
        "" if row.seconds is None else f"{row.seconds * 1000:.1f}",
        row.certificate[:12],
        row.key_type,
        day,
        row.revocation,
        row.session,
        row.browser,
        one_line(row.detail, row.why, row.because),
        one_line(*row.notes),
        one_line(row.command),
    )
    return tuple(cell or "-" for cell in cells)


def aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join(padded).rstrip()
