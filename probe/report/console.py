"""What a person at a terminal or in a pipeline reads: how far a round is, then what was found.

What needs attention comes first, then a matrix of certificates by edge.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from string import ascii_uppercase

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from probe.model.reasons import title_of
from probe.model.tls import clients_in_words
from probe.report.rows import ReportRow, RowVerdict

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal: a pipeline's log shows that work goes on."""


@dataclass(frozen=True, slots=True)
class RoundProgress:
    """How far a round is.

    Attributes:
        done: attempts finished; grows.
        known: attempts known so far; grows while DNS is still answering.
        wrong: edges or flows that are not right (yet).
        round: counts from 1.
    """

    done: int
    known: int
    wrong: int
    round: int = 1


OnProgress = Callable[[RoundProgress], None]


@contextmanager
def progress_on(
    console: Console, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[OnProgress]:
    """Yield what is told the progress: a bar on a terminal, else a line now and then."""
    if console.is_terminal:
        with _bar(console) as told:
            yield told
    else:
        yield _lines(console, clock)


@contextmanager
def _bar(console: Console) -> Iterator[OnProgress]:
    columns = (
        TextColumn("round {task.fields[round]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[wrong]} not right"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("probing", total=None, wrong=0, round=1)

        def told(progress: RoundProgress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.known,
                wrong=progress.wrong,
                round=progress.round,
            )

        yield told


def _lines(console: Console, clock: Callable[[], float]) -> OnProgress:
    due = clock() + LINE_EVERY

    def told(progress: RoundProgress) -> None:
        nonlocal due
        if clock() >= due:
            due = clock() + LINE_EVERY
            done = f"{progress.done} of {progress.known} probed"
            console.print(f"round {progress.round}: {done}, {progress.wrong} not right")

    return told


_STYLE = {
    RowVerdict.PASS: ("✓ pass", "green"),
    RowVerdict.FAIL: ("✗ FAIL", "bold red"),
    RowVerdict.INCONCLUSIVE: ("? inconclusive", "yellow"),
    RowVerdict.SKIPPED: ("- skipped", "dim"),
}


def table(rows: Sequence[ReportRow], *, all_rows: bool) -> RenderableType:
    """Show what does not pass, one block for everything that fails alike, then the counts.

    Rows of one edge with one reason share a block that names all their targets: 300 domains
    behind one broken edge are one thing to read. With ``all_rows`` passing rows follow, a
    line each.
    """
    parts: list[RenderableType] = []
    groups: dict[tuple[str, ...], list[ReportRow]] = defaultdict(list)
    for row in rows:
        if row.verdict is not RowVerdict.PASS or row.notes:
            groups[_alike(row)].append(row)
    clients = _by_client(rows)
    for group in sorted(groups.values(), key=lambda group: _ORDER.index(group[0].verdict)):
        parts += [_block(group, clients), Text()]
    passing = [row for row in rows if row.verdict is RowVerdict.PASS]
    if all_rows and passing:
        parts += [_passing(passing), Text()]
    return Group(*parts, *_sessions(rows), summary(rows), *_revocation(rows))


def _sessions(rows: Sequence[ReportRow]) -> Iterator[Text]:
    """Say what became of other edges' session tickets, a line for each provider and client."""
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.session:
            counts[row.check, row.provider, row.what][row.session] += 1
    for (check, provider, client), found in sorted(counts.items()):
        said = ", ".join(f"{count} {outcome}" for outcome, count in found.most_common())
        yield Text(f"{check} {provider} {client}: session tickets of other edges: {said}")
        if found["untried"]:
            yield Text("  untried: no other edge gave a ticket, so nothing is known", "yellow")


_ORDER = (RowVerdict.FAIL, RowVerdict.INCONCLUSIVE, RowVerdict.SKIPPED, RowVerdict.PASS)


def _alike(row: ReportRow) -> tuple[str, ...]:
    where = (row.check, row.provider, row.edge, row.what, row.verdict, row.phase, row.reason)
    if row.because:
        return (*where, row.because)
    return where if row.reason else (*where, *row.notes)


_Verdicts = dict[tuple[str, ...], dict[str, RowVerdict]]


def _by_client(rows: Sequence[ReportRow]) -> _Verdicts:
    """Sort the verdicts on edges by edge, then by client."""
    found: _Verdicts = defaultdict(dict)
    for row in rows:
        if row.edge and not row.layer:
            found[_where(row)][row.what] = row.verdict
    return found


def _where(row: ReportRow) -> tuple[str, ...]:
    return (row.check, row.target, row.provider, row.edge)


def _clients(group: Sequence[ReportRow], seen: _Verdicts) -> str:
    """Say which clients fail where these rows do, and which pass at all of them."""
    if group[0].verdict is not RowVerdict.FAIL or _where(group[0]) not in seen:
        return ""
    at = [seen[_where(row)] for row in group]
    fails = {one for each in at for one, verdict in each.items() if verdict is RowVerdict.FAIL}
    passes = set.intersection(
        *({one for one, verdict in each.items() if verdict is RowVerdict.PASS} for each in at)
    )
    return clients_in_words(fails, passes)


def _block(group: Sequence[ReportRow], clients: _Verdicts) -> Text:
    row = group[0]
    word, style = _STYLE[row.verdict]
    # Never wrapped by us: a command must stay one line to be pasted. Print with crop=False.
    text = Text(no_wrap=True, overflow="ignore")
    text.append(f"{word} ", style=style)
    text.append(" ".join(part for part in (row.provider, row.edge, row.what) if part), style="bold")
    if row.reason:
        text.append(f"  {row.phase}/{row.reason}", style=style)
        text.append(f"  {title_of(row.reason)}")
    if row.layer:
        text.append(f"  layer {row.layer}")
    names = ", ".join(row.target for row in group)
    count = f"{len(group)} targets: " if len(group) > 1 else ""
    text.append(f"\n  {row.check}: {count}{names}")
    if told := _clients(group, clients):
        text.append(f"\n  {told}")
    if row.detail:
        text.append(f"\n  {row.detail}")
    if row.browser:
        text.append(f"\n  a browser shows {row.browser}")
    for note in row.notes:
        text.append(f"\n  {note}", style="yellow")
    if row.because:
        text.append(f"\n  Because: {row.because}", style="bold")
        for line in row.experiments:
            text.append(f"\n    {line}", style="dim")
    if row.command:
        text.append(f"\n  {row.command}", style="cyan")
    return text


def _passing(rows: Sequence[ReportRow]) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in ("", "check", "target", "provider", "edge", "what"):
        view.add_column(column, overflow="fold")
    view.add_column("ms", justify="right")
    view.add_column("certificate", overflow="fold")
    for row in rows:
        word, style = _STYLE[row.verdict]
        shown = [row.check, row.target, row.provider, row.edge, row.what]
        milliseconds = "" if row.seconds is None else f"{row.seconds * 1000:.0f}"
        cells = [Text(word, style=style), *map(Text, shown), Text(milliseconds)]
        view.add_row(*cells, Text(_certificate(row)))
    return view


def _certificate(row: ReportRow) -> str:
    if row.expires is None:
        return ""
    return f"{row.certificate[:12]} until {datetime.fromtimestamp(row.expires, UTC):%Y-%m-%d}"


def summary(rows: Sequence[ReportRow]) -> Text:
    """Count the rows by verdict: ``12 pass, 2 FAIL``."""
    counts = Counter(row.verdict for row in rows)
    text = Text()
    for verdict, (word, style) in _STYLE.items():
        if counts[verdict]:
            text.append(f"{', ' if text else ''}{counts[verdict]} {word[2:]}", style=style)
    return text if text else Text("nothing was probed: no target or no edge matched", "yellow")


def _revocation(rows: Sequence[ReportRow]) -> list[Text]:
    """Count what revocation lists say of the chains: ``revocation: 12 on no list, 1 revoked``."""
    counts = Counter(row.revocation for row in rows if row.revocation)
    said = ", ".join(f"{count} {words}" for words, count in sorted(counts.items()))
    return [Text(f"revocation: {said}", "dim")] if said else []


def matrix(rows: Sequence[ReportRow]) -> RenderableType | None:
    """Show edges × certificates of the targets whose edges do not all show one certificate.

    Within a target, certificates are lettered A, B, … by how many edges show them; an edge
    without one shows its reason. None when every target's edges agree.
    """
    by_target: dict[tuple[str, str, str], list[ReportRow]] = defaultdict(list)
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


def _differs(group: Sequence[ReportRow]) -> bool:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in group:
        seen[row.what, row.key_type if row.certificate else ""].add(row.certificate or row.reason)
    kinds = {client for client, _ in seen}
    missing = {client for client in kinds if (client, "") in seen}
    some = {client for client, key_type in seen if key_type}
    # Edges that show no certificate at all differ in nothing but how they fail.
    differing = any(len(values) > 1 for (_, key_type), values in seen.items() if key_type)
    return differing or bool(missing & some)


def _groups(group: Sequence[ReportRow]) -> list[tuple[Text, list[str]]]:
    edges: dict[tuple[str, str, float], list[str]] = defaultdict(list)
    for row in group:
        edges[row.certificate, row.key_type or row.reason, row.expires or 0.0].append(row.edge)
    ordered = sorted(edges.items(), key=lambda item: (not item[0][0], -len(item[1]), item[0]))
    lines = []
    for letter, ((certificate, kind, expires), where) in zip(
        cycle(ascii_uppercase), ordered, strict=False
    ):
        if certificate:
            until = datetime.fromtimestamp(expires, UTC)
            lines.append(
                (Text(f"{letter} {certificate[:12]} {kind} until {until:%Y-%m-%d}"), where)
            )
        else:
            lines.append((Text(f"none: {kind}", style="bold red"), where))
    return lines
