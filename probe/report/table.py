"""Rows as rich tables: what needs attention first, then a matrix of certificates by edge."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from probe.report.rows import Row, Verdict

_STYLE = {
    Verdict.PASS: ("✓ pass", "green"),
    Verdict.FAIL: ("✗ FAIL", "bold red"),
    Verdict.INCONCLUSIVE: ("? inconclusive", "yellow"),
    Verdict.SKIPPED: ("- skipped", "dim"),
}


def table(rows: Sequence[Row], *, all_rows: bool) -> RenderableType:
    """A line a row; without ``all_rows`` passing ones without notes are only counted."""
    shown = [row for row in rows if all_rows or row.verdict is not Verdict.PASS or row.notes]
    view = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in ("", "check", "target", "provider", "edge", "what"):
        view.add_column(column, overflow="fold")
    view.add_column("ms", justify="right")
    view.add_column("finding", overflow="fold", ratio=1)
    for row in shown:
        word, style = _STYLE[row.verdict]
        view.add_row(
            Text(word, style=style),
            Text(row.check),
            Text(row.target),
            Text(row.provider),
            Text(row.edge),
            Text(row.what),
            Text("" if row.seconds is None else f"{row.seconds * 1000:.0f}"),
            _finding(row),
        )
    parts: list[RenderableType] = [view] if shown else []
    parts.append(summary(rows))
    return Group(*parts)


def _finding(row: Row) -> Text:
    text = Text()
    if row.reason:
        text.append(f"{row.phase}/{row.reason}", style="bold")
        if row.detail:
            text.append(f" {row.detail}")
        if row.browser:
            text.append(f" (a browser shows {row.browser})", style="dim")
    elif row.expires is not None:
        until = datetime.fromtimestamp(row.expires, UTC)
        text.append(f"{row.certificate[:12]} until {until:%Y-%m-%d}", style="dim")
    for note in row.notes:
        text.append(f"\n{note}", style="yellow")
    if row.command:
        text.append(f"\n{row.command}", style="cyan")
    return text


def summary(rows: Sequence[Row]) -> Text:
    """``12 pass, 2 FAIL``: counts by verdict."""
    counts = Counter(row.verdict for row in rows)
    text = Text()
    for verdict, (word, style) in _STYLE.items():
        if counts[verdict]:
            text.append(f"{', ' if text else ''}{counts[verdict]} {word[2:]}", style=style)
    return text if text else Text("nothing was probed: no target or no edge matched", "yellow")


def matrix(rows: Sequence[Row]) -> RenderableType | None:
    """Edges × targets of TLS rows, for targets whose edges do not all show one certificate.

    Within a target, certificates are lettered A, B, … by how many edges show them; an edge
    without one shows its reason. None when every target's edges agree.
    """
    by_target: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.what != "dns" and row.edge and not row.layer:
            by_target[row.check, row.target, row.provider].append(row)
    split = {key: group for key, group in by_target.items() if _differs(group)}
    if not split:
        return None
    view = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    view.title = "certificates that differ between edges"
    for column in ("target", "provider", "client", "certificate", "edges"):
        view.add_column(column, overflow="fold")
    for (_check, target, provider), group in split.items():
        for client in sorted({row.what for row in group}):
            for shown, edges in _groups([row for row in group if row.what == client]):
                view.add_row(target, provider, client, shown, Text(", ".join(edges)))
    return view


def _differs(group: Sequence[Row]) -> bool:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in group:
        seen[row.what, row.key_type if row.certificate else ""].add(row.certificate or row.reason)
    kinds = {client for client, _ in seen}
    missing = {client for client in kinds if (client, "") in seen}
    some = {client for client, key_type in seen if key_type}
    return any(len(values) > 1 for values in seen.values()) or bool(missing & some)


def _groups(group: Sequence[Row]) -> list[tuple[Text, list[str]]]:
    edges: dict[tuple[str, str, float], list[str]] = defaultdict(list)
    for row in group:
        edges[row.certificate, row.key_type or row.reason, row.expires or 0.0].append(row.edge)
    ordered = sorted(edges.items(), key=lambda item: (not item[0][0], -len(item[1]), item[0]))
    lines = []
    for letter, ((certificate, kind, expires), where) in zip(_letters(), ordered, strict=False):
        if certificate:
            until = datetime.fromtimestamp(expires, UTC)
            lines.append(
                (Text(f"{letter} {certificate[:12]} {kind} until {until:%Y-%m-%d}"), where)
            )
        else:
            lines.append((Text(f"none: {kind}", style="bold red"), where))
    return lines


def _letters() -> list[str]:
    return [chr(ord("A") + index % 26) for index in range(260)]
