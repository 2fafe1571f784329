"""Results flattened to rows, the one shape that is printed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from probe.model.cause import Investigation
from probe.model.failure import Failure, failure_fields, printable
from probe.model.flow_cause import FlowInvestigation
from probe.model.result import (
    CertificateFacts,
    Failed,
    FlowResult,
    Inconclusive,
    Passed,
    ResolveResult,
    Result,
    Skipped,
    StepOutcome,
    StepResult,
    Timings,
    TlsResult,
)
from probe.model.state import Diagnosis
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.state.promises import not_looked_at


class RowVerdict(StrEnum):
    """How a row ended."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One attempt against one edge, one question to DNS, or one step of a flow.

    Attributes:
        what: the client profile, ``dns``, the step's name, or ``run`` for a flow as a whole.
        edge: ``ip:port``, empty when none was reached.
        seconds: the whole attempt; None when it did not run.
        certificate: SHA-256 of the leaf, empty without a handshake.
        expires: NotAfter that counts, seconds since the epoch.
        revocation: what revocation lists say of the chain, in words; empty without a handshake.
        layer: that a step of a flow declares.
        flow: whether it is a step of a flow, or the run of one.
        persona: who ran the flow; empty for the check's own credentials.
        blames: the layer to blame for a flow's failures, as the agent names it; ``why`` says why.
        session: what became of another edge's session ticket; empty where none is to be offered.
        notes: warnings and further findings, in words.
        cause: what the failure depends on, where that was asked for; ``because`` says it.
        experiments: what was changed to find out, and what came out.
        chain: certificates in the order sent; of a handshake alone, and not in documents.
    """

    check: str
    target: str
    provider: str
    edge: str
    what: str
    verdict: RowVerdict
    phase: str = ""
    reason: str = ""
    detail: str = ""
    seconds: float | None = None
    certificate: str = ""
    key_type: str = ""
    expires: float | None = None
    revocation: str = ""
    command: str = ""
    browser: str = ""
    layer: str = ""
    persona: str = ""
    blames: str = ""
    why: str = ""
    session: str = ""
    notes: tuple[str, ...] = field(default=())
    cause: str = ""
    because: str = ""
    experiments: tuple[str, ...] = field(default=())
    chain: tuple[CertificateFacts, ...] = field(default=(), repr=False)
    flow: bool = field(default=False, repr=False)


def rows_of(
    results: Iterable[Result],
    causes: Mapping[EdgeKey, Investigation] = MappingProxyType({}),
    blames: Mapping[FlowKey, Diagnosis] = MappingProxyType({}),
    flows: Mapping[FlowKey, FlowInvestigation] = MappingProxyType({}),
) -> list[ReportRow]:
    """Make rows in a stable order: check, target, provider, edge and profile; steps as they ran.

    Args:
        results: of a round.
        causes: of edges that fail, where that was asked for.
        blames: what the runs of flows say of their layers.
        flows: why flows fail, where that was asked for.
    """
    return [
        _shown(_explained(row, result, causes, blames, flows))
        for result in sorted(results, key=_place)
        for row in _rows(result)
    ]


def _explained(
    row: ReportRow,
    result: Result,
    causes: Mapping[EdgeKey, Investigation],
    blames: Mapping[FlowKey, Diagnosis],
    flows: Mapping[FlowKey, FlowInvestigation],
) -> ReportRow:
    found: Investigation | FlowInvestigation | None = None
    if isinstance(result, FlowResult):
        blame = blames.get(result.key)
        if blame is not None and not blame.healthy:
            row = replace(row, blames=blame.layer, why=blame.why)
        told = flows.get(result.key)
        if told and row.verdict is RowVerdict.FAIL and row.what.rpartition(":")[2] == told.step:
            found = told
    elif isinstance(result, TlsResult):
        found = causes.get(result.key)
    if found is None:
        return row
    lines = tuple(one.line for one in found.experiments)
    return replace(row, cause=found.cause, because=found.sentence, experiments=lines)


def _shown(row: ReportRow) -> ReportRow:
    """A row that a terminal can be given: what servers said moves no cursor and forges no line."""
    texts = {
        one.name: printable(value, "\n\t")
        for one in fields(row)
        if type(value := getattr(row, one.name)) is str and not value.isprintable()
    }
    notes = tuple(printable(note, "\n\t") for note in row.notes)
    return replace(row, **texts, notes=notes) if texts or notes != row.notes else row  # type: ignore[arg-type]  # all are texts


def _place(result: Result) -> tuple[str, ...]:
    key = result.key
    match key:
        case EdgeKey(edge=edge, client=client):
            finer = (edge, client)
        case FlowKey(persona=persona):
            finer = (persona, "")
        case ProviderKey():
            finer = ("", "")
        case _:
            assert_never(key)
    return (key.check, key.target, key.provider, *finer)


def in_short(result: Result) -> str:
    """Say where something is not right, and why: alike for all targets of one broken edge."""
    match result:
        case TlsResult(key=key):
            where = f"{key.provider} {key.edge} {key.client}"
        case FlowResult(key=key):
            where = f"{key.check} {key.provider} {key.persona}".rstrip()
        case ResolveResult(key=key, resolution=found):
            why = found.failure
            return f"{key.provider} dns " + (f"{why.phase}/{why.reason}" if why else "no addresses")
        case _:
            assert_never(result)
    _, failure, _ = _verdict(result.outcome)
    return f"{where}  {failure.phase}/{failure.reason}" if failure else where


def exit_code(rows: Iterable[ReportRow]) -> int:
    """Return 0 if what was probed passes, 1 if something fails, 3 if something is inconclusive.

    Nothing but skipped rows is 3, as is no row at all: nothing was learned.
    """
    verdicts = {row.verdict for row in rows}
    if RowVerdict.FAIL in verdicts:
        return 1
    return 3 if RowVerdict.INCONCLUSIVE in verdicts or RowVerdict.PASS not in verdicts else 0


def _rows(result: Result) -> Iterator[ReportRow]:
    match result:
        case TlsResult():
            yield _tls_row(result)
        case FlowResult():
            yield from _flow_rows(result)
        case ResolveResult():
            found = result.resolution
            if found.failure is not None or not found.edges:
                yield _dns_row(result)
            elif found.skipped_ipv6 or found.notes or any(_of_records(result)):
                yield _noted_row(result)
        case _:
            assert_never(result)


def _verdict(outcome: StepOutcome) -> tuple[RowVerdict, Failure | None, tuple[str, ...]]:
    match outcome:
        case Passed(warnings):
            return RowVerdict.PASS, None, tuple(str(warning) for warning in warnings)
        case Failed(failure, others):
            return RowVerdict.FAIL, failure, tuple(str(other) for other in others)
        case Inconclusive(failure):
            return RowVerdict.INCONCLUSIVE, failure, ()
        case Skipped():
            return RowVerdict.SKIPPED, None, (str(outcome),)
        case _:
            assert_never(outcome)


def _tls_row(result: TlsResult) -> ReportRow:
    verdict, failure, notes = _verdict(result.outcome)
    leaf = result.handshake.leaf if result.handshake else None
    verified = result.handshake.verified_not_after if result.handshake else None
    return ReportRow(
        *result.key[:3],
        edge=result.key.edge,
        what=result.key.client,
        verdict=verdict,
        **failure_fields(failure),
        seconds=result.timings.total,
        certificate=leaf.fingerprint_sha256 if leaf else "",
        key_type=leaf.key_type if leaf else "",
        expires=verified if verified is not None else (leaf.not_after if leaf else None),
        revocation=result.handshake.revocation if leaf and result.handshake else "",
        command=result.command,
        browser=result.browser,
        session=result.session.outcome if result.session is not None else "",
        notes=(*notes, *result.notes),
        chain=result.handshake.chain if result.handshake else (),
    )


def _flow_rows(result: FlowResult) -> Iterator[ReportRow]:
    """Make a row for each step, and one for the run when no step says how it ended.

    A run that had no time left, or that our own code did not finish, has no failed step.
    """
    rows = [_step_row(result, step) for step in result.steps]
    yield from rows
    verdict = _verdict(result.outcome)[0]
    if verdict is not RowVerdict.PASS and all(row.verdict is not verdict for row in rows):
        timings = Timings(total=result.seconds)
        yield _step_row(result, StepResult("run", "", result.outcome, timings))


def _step_row(result: FlowResult, step: StepResult) -> ReportRow:
    verdict, failure, notes = _verdict(step.outcome)
    ran = verdict is not RowVerdict.SKIPPED
    return ReportRow(
        *result.key[:3],
        edge=step.edge.label if step.edge else "",
        what=f"{result.key.persona}:{step.step}" if result.key.persona else step.step,
        verdict=verdict,
        **failure_fields(failure),
        seconds=step.timings.total if ran else None,
        command=step.evidence.command,
        layer=step.layer,
        persona=result.key.persona,
        notes=notes,
        flow=True,
    )


def _noted_row(result: ResolveResult) -> ReportRow:
    """Make the row of an answer with a note: what was left out, odd servers, odd records."""
    found, (warnings, unseen) = result.resolution, _of_records(result)
    skipped = (_without_route(found.skipped_ipv6),) if found.skipped_ipv6 else ()
    return ReportRow(
        *result.key[:3],
        edge="",
        what="dns",
        verdict=RowVerdict.SKIPPED if skipped or unseen else RowVerdict.PASS,
        seconds=found.seconds,
        notes=(*skipped, *unseen, *warnings, *found.notes),
    )


def _of_records(result: ResolveResult) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What records beside addresses contradict, and which were not looked at."""
    if result.named is None:
        return (), ()
    return tuple(map(str, result.named.warnings)), not_looked_at(result.named.records)


def _without_route(count: int) -> str:
    return f"{count} IPv6 address{'es' if count != 1 else ''} skipped: no IPv6 route here"


def _dns_row(result: ResolveResult) -> ReportRow:
    found = result.resolution
    ours = found.failure is not None and found.failure.ours
    # Only IPv6 addresses on a host without an IPv6 route: nothing can be said from here.
    unseen = found.failure is None and found.skipped_ipv6 > 0
    why = failure_fields(found.failure)
    if found.failure is None:
        nothing = _without_route(found.skipped_ipv6)
        why = {"phase": "resolve", "reason": "no_addresses", "detail": nothing}
    return ReportRow(
        *result.key[:3],
        edge="",
        what="dns",
        verdict=RowVerdict.INCONCLUSIVE if ours or unseen else RowVerdict.FAIL,
        **why,
        seconds=found.seconds,
        notes=(*found.notes, *_of_records(result)[1]),
    )
