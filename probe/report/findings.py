"""Rows that are alike, as one finding each: what a person reads instead of a row for each domain.

Pure. How a finding looks on a terminal, in a pipe and in a pipeline's annotations is made of the
same words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from probe.model.reasons import title_of
from probe.model.tls import clients_in_words
from probe.report.rows import ReportRow, RowVerdict

Style = Literal["", "note", "strong", "dim", "command"]
"""What a line of a finding is, for those that show it in colours."""

WORDS = {
    RowVerdict.PASS: "pass",
    RowVerdict.FAIL: "FAIL",
    RowVerdict.INCONCLUSIVE: "inconclusive",
    RowVerdict.SKIPPED: "skipped",
}
MARKS = {
    RowVerdict.PASS: "✓",
    RowVerdict.FAIL: "✗",
    RowVerdict.INCONCLUSIVE: "?",
    RowVerdict.SKIPPED: "-",
}
WORST_FIRST = (RowVerdict.FAIL, RowVerdict.INCONCLUSIVE, RowVerdict.SKIPPED, RowVerdict.PASS)


@dataclass(frozen=True, slots=True)
class Alike:
    """What is alike: an edge and a reason for some targets, or a flow's run for some targets.

    Attributes:
        rows: of an edge, a row for each target; of a flow, those of the first target's run.
        targets: all that are alike.
        clients: which clients fail where these rows do, and which pass; may be empty.
    """

    rows: tuple[ReportRow, ...]
    targets: tuple[str, ...]
    clients: str = ""

    @property
    def flow(self) -> bool:
        """Whether it is the run of a flow, with its steps."""
        return self.rows[0].flow

    @property
    def verdict(self) -> RowVerdict:
        """The worst of its rows."""
        return _worst(self.rows)


def findings(rows: Sequence[ReportRow], *, all_flows: bool = False) -> list[Alike]:
    """Group what does not pass, or passes with a note; what fails comes first.

    Args:
        rows: of a round.
        all_flows: flows that pass too.
    """
    edges: dict[tuple[str, ...], list[ReportRow]] = defaultdict(list)
    for row in rows:
        if not row.flow and (row.verdict is not RowVerdict.PASS or row.notes):
            edges[_alike(row)].append(row)
    clients = _by_client(rows) if edges else {}
    found = [
        Alike(tuple(group), tuple(row.target for row in group), _clients(group, clients))
        for group in edges.values()
    ]
    found += _flows(rows, all_flows=all_flows)
    return sorted(found, key=lambda one: WORST_FIRST.index(one.verdict))


def _flows(rows: Sequence[ReportRow], *, all_flows: bool) -> Iterator[Alike]:
    """Runs that went alike: the same steps with the same verdicts and reasons."""
    runs: dict[tuple[str, ...], list[ReportRow]] = defaultdict(list)
    for row in rows:
        if row.flow:
            runs[row.check, row.target, row.provider, row.persona].append(row)
    alike: dict[object, list[list[ReportRow]]] = defaultdict(list)
    for (check, _, provider, persona), run in runs.items():
        quiet = all(row.verdict is RowVerdict.PASS and not row.notes for row in run)
        if all_flows or not quiet:
            went = tuple((one.what, one.verdict, one.why_failed) for one in steps(run))
            because = tuple(row.because for row in run if row.because)
            alike[check, provider, persona, run[0].blames, went, because].append(run)
    for group in alike.values():
        yield Alike(tuple(group[0]), tuple(run[0].target for run in group))


@dataclass(frozen=True, slots=True)
class FlowStep:
    """A step of a flow with all its attempts.

    Attributes:
        why_failed: phase and reason of the first attempt that did not pass.
    """

    what: str
    layer: str
    attempts: tuple[ReportRow, ...]
    verdict: RowVerdict
    why_failed: str

    @property
    def words(self) -> str:
        """``2 of 3 attempts fail  expect/status  …``, or how long it took."""
        first = next((row for row in self.attempts if row.verdict is self.verdict), None)
        if first is None or self.verdict is RowVerdict.PASS:
            took = [row.seconds for row in self.attempts if row.seconds is not None]
            times = f", {len(took)} attempts" if len(took) > 1 else ""
            return f"{1000 * max(took):.0f} ms{times}" if took else ""
        if self.verdict is RowVerdict.SKIPPED:
            return "skipped: " + "; ".join(first.notes)
        wrong = sum(row.verdict is self.verdict for row in self.attempts)
        fail = "fail" if self.verdict is RowVerdict.FAIL else "are inconclusive"
        share = f"{wrong} of {len(self.attempts)} attempts {fail}, "
        title = f": {title_of(first.reason)}" if first.reason else ""
        return (share if len(self.attempts) > 1 else "") + f"{self.why_failed}{title}"


def steps(run: Sequence[ReportRow]) -> list[FlowStep]:
    """Gather the attempts of each step, in the order in which the steps ran."""
    found = []
    for what, group in groupby(run, key=lambda row: row.what):
        attempts = tuple(group)
        verdict = _worst(attempts)
        row = next(row for row in attempts if row.verdict is verdict)
        why = f"{row.phase}/{row.reason}" if row.reason else ""
        found.append(FlowStep(what, row.layer, attempts, verdict, why))
    return found


def headline(finding: Alike) -> str:
    """Say where, and what: ``cdn-b 192.0.2.1:443 default  tls/timeout  No answer in time``."""
    row = finding.rows[0]
    if finding.flow:
        who = f" as {row.persona}" if row.persona else ""
        through = f" through {row.provider}" if row.provider else ""
        blame = f"  layer to blame: {row.blames}" if row.blames else ""
        return f"flow {row.check}{through}{who}{blame}"
    where = " ".join(part for part in (row.provider, row.edge, row.what) if part)
    why = f"  {row.phase}/{row.reason}  {title_of(row.reason)}" if row.reason else ""
    return where + why


def details(finding: Alike, most: int | None = None) -> Iterator[tuple[Style, str]]:
    """Say the rest, a line each: targets, what was seen, and the command to see it by hand.

    Args:
        finding: rows that are alike.
        most: targets that are named; how many more there are is said.
    """
    row = finding.rows[0]
    if finding.targets != (row.check,):
        yield "", f"{row.check}: {named(finding.targets, most)}"
    if finding.flow:
        yield from _of_flow(finding)
        return
    yield from (("", text) for text in (finding.clients, row.detail) if text)
    if row.browser:
        yield "", f"a browser shows {row.browser}"
    yield from (("note", note) for note in row.notes)
    yield from _cause(row)
    if row.command:
        yield "command", row.command


def _cause(row: ReportRow) -> Iterator[tuple[Style, str]]:
    if row.because:
        yield "strong", f"Because: {row.because}"
        yield from (("dim", f"  {line}") for line in row.experiments)


def _of_flow(finding: Alike) -> Iterator[tuple[Style, str]]:
    if why := finding.rows[0].why:
        yield "strong", why
    shown = steps(finding.rows)
    name, layer = (
        max(len(text) for text in texts)
        for texts in zip(*((step.what, step.layer) for step in shown), strict=True)
    )
    for step in shown:
        mark = MARKS[step.verdict]
        yield "", f"{mark} {step.what:<{name}}  {step.layer:<{layer}}  {step.words}"
        row = next(row for row in step.attempts if row.verdict is step.verdict)
        if row.detail:
            yield "dim", f"    {row.detail}"
        explained = next((one for one in step.attempts if one.because), row)
        yield from ((style, f"    {line}") for style, line in _cause(explained))
        if step.verdict is not RowVerdict.SKIPPED:
            yield from (("note", f"    {note}") for note in row.notes)
            if row.command:
                yield "command", row.command


def named(names: Sequence[str], most: int | None) -> str:
    """``3 targets: a.example, b.example, c.example``; one name alone is not counted."""
    shown = ", ".join(names[:most])
    if most is not None and len(names) > most:
        shown += f" and {len(names) - most} more (-o wide names all)"
    return f"{len(names)} targets: {shown}" if len(names) > 1 else shown


def totals(rows: Sequence[ReportRow]) -> str:
    """Count the rows by verdict: ``12 pass, 2 FAIL``."""
    counts = Counter(row.verdict for row in rows)
    said = [f"{counts[verdict]} {word}" for verdict, word in WORDS.items() if counts[verdict]]
    return ", ".join(said) or "nothing was probed: no target or no edge matched"


def sessions(rows: Sequence[ReportRow]) -> Iterator[tuple[Style, str]]:
    """Say what became of other edges' session tickets, a line for each provider and client."""
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.session:
            counts[row.check, row.provider, row.what][row.session] += 1
    for (check, provider, client), found in sorted(counts.items()):
        said = ", ".join(f"{count} {outcome}" for outcome, count in found.most_common())
        yield "", f"{check} {provider} {client}: session tickets of other edges: {said}"
        if found["untried"]:
            yield "note", "  untried: no other edge gave a ticket, so nothing is known"


def revocation(rows: Sequence[ReportRow]) -> str:
    """Count what revocation lists say of the chains: ``revocation: 12 on no list, 1 revoked``."""
    counts = Counter(row.revocation for row in rows if row.revocation)
    said = ", ".join(f"{count} {words}" for words, count in sorted(counts.items()))
    return f"revocation: {said}" if said else ""


def _worst(rows: Sequence[ReportRow]) -> RowVerdict:
    seen = {row.verdict for row in rows}
    return next(verdict for verdict in WORST_FIRST if verdict in seen)


def _alike(row: ReportRow) -> tuple[str, ...]:
    where = (row.check, row.provider, row.edge, row.what, row.verdict, row.phase, row.reason)
    if row.because:
        return (*where, row.because)
    return where if row.reason else (*where, *row.notes)


_Verdicts = Mapping[tuple[str, ...], Mapping[str, RowVerdict]]


def _by_client(rows: Sequence[ReportRow]) -> _Verdicts:
    """Sort the verdicts on edges by edge, then by client."""
    found: dict[tuple[str, ...], dict[str, RowVerdict]] = defaultdict(dict)
    for row in rows:
        if row.edge and not row.flow:
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
