"""What a person at a terminal reads: what needs attention first, the counts last."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from probe.report.differences import MOST_PATTERNS, patterns
from probe.report.findings import (
    MARKS,
    WORDS,
    Alike,
    details,
    findings,
    headline,
    revocation,
    sessions,
    totals,
)
from probe.report.lines import aligned, milliseconds, more_patterns, until
from probe.report.rows import ReportRow, RowVerdict

MOST_TARGETS = 10
"""Targets that a block names."""

_STYLES = {
    RowVerdict.PASS: "green",
    RowVerdict.FAIL: "bold red",
    RowVerdict.INCONCLUSIVE: "yellow",
    RowVerdict.SKIPPED: "dim",
}
_LINES = {"": "", "note": "yellow", "strong": "bold", "dim": "dim", "command": "cyan"}


def table(rows: Sequence[ReportRow], *, all_rows: bool) -> Text:
    """Show what does not pass, one block for everything that fails alike, then the counts.

    Rows of one edge with one reason share a block that names their targets: 300 domains behind
    one broken edge are one thing to read. With ``all_rows`` passing rows follow, a line each.
    The text is never wrapped by us: a command must stay one line to be pasted.
    """
    text = Text(no_wrap=True, overflow="ignore")
    for finding in findings(rows, all_flows=all_rows):
        _add_block(text, finding)
    passing = [row for row in rows if row.verdict is RowVerdict.PASS and not row.flow]
    if all_rows and passing:
        _add_passing(text, passing)
    _add_patterns(text, rows)
    for style, line in sessions(rows):
        text.append(f"{line}\n", style=_LINES[style])
    _add_totals(text, rows)
    if said := revocation(rows):
        text.append(f"\n{said}", style="dim")
    return text


def _add_block(text: Text, finding: Alike) -> None:
    style = _STYLES[finding.verdict]
    text.append(f"{MARKS[finding.verdict]} {WORDS[finding.verdict]} ", style=style)
    where, _, why = headline(finding).partition("  ")
    text.append(where, style="bold")
    if why:
        text.append(f"  {why}", style=style)
    for kind, line in details(finding, MOST_TARGETS):
        text.append(f"\n  {line}", style=_LINES[kind])
    text.append("\n\n")


def _add_passing(text: Text, passing: Sequence[ReportRow]) -> None:
    columns = ("", "check", "target", "provider", "edge", "what", "took", "certificate")
    cells = [(row.check, row.target, row.provider, row.edge, row.what) for row in passing]
    ends = [(milliseconds(row), until(row)) for row in passing]
    shown = [("✓ pass", *cell, *end) for cell, end in zip(cells, ends, strict=True)]
    heading, *lines = aligned([columns, *shown])
    text.append(f"{heading}\n", style="bold")
    for line in lines:
        text.append(line[:6], style="green").append(f"{line[6:]}\n")
    text.append("\n")


def _add_patterns(text: Text, rows: Sequence[ReportRow]) -> None:
    found = patterns(rows)
    if not found:
        return
    text.append("certificates that differ between edges\n", style="bold")
    for pattern in found[:MOST_PATTERNS]:
        where, *served = pattern.words(MOST_TARGETS)
        text.append(f"  {where}\n")
        for line in served:
            text.append(f"    {line}\n")
    if len(found) > MOST_PATTERNS:
        text.append(f"  {more_patterns(len(found))}\n")
    text.append("\n")


def _add_totals(text: Text, rows: Sequence[ReportRow]) -> None:
    if not rows:
        text.append(totals(rows), style="yellow")
        return
    for place, part in enumerate(totals(rows).split(", ")):
        verdict = _verdict(part)
        text.append(", " if place else "").append(part, style=_STYLES[verdict])


def _verdict(part: str) -> RowVerdict:
    word = part.partition(" ")[2]
    return next(verdict for verdict, said in WORDS.items() if said == word)
