"""Results flattened to rows, the one shape that is printed; and rows as JSON and as JUnit. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, assert_never
from xml.etree import ElementTree as ET

from probe.model.cause import Investigation
from probe.model.failure import Failure, failure_fields, printable
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
    session: str = ""
    notes: tuple[str, ...] = field(default=())
    cause: str = ""
    because: str = ""
    experiments: tuple[str, ...] = field(default=())
    chain: tuple[CertificateFacts, ...] = field(default=(), repr=False)


def rows_of(
    results: Iterable[Result], causes: Mapping[EdgeKey, Investigation] = MappingProxyType({})
) -> list[ReportRow]:
    """Make rows in a stable order: check, target, provider, edge and profile; steps as they ran.

    Args:
        results: of a round.
        causes: of edges that fail, where that was asked for.
    """
    return [
        _shown(_explained(row, result, causes))
        for result in sorted(results, key=_place)
        for row in _rows(result)
    ]


def _explained(
    row: ReportRow, result: Result, causes: Mapping[EdgeKey, Investigation]
) -> ReportRow:
    found = causes.get(result.key) if isinstance(result, TlsResult) else None
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


def exit_code(rows: Iterable[ReportRow]) -> int:
    """Return 0 if all pass, 1 if something fails, 3 nothing fails but something is inconclusive.

    No rows at all is 3: nothing was learned.
    """
    verdicts = {row.verdict for row in rows}
    if RowVerdict.FAIL in verdicts:
        return 1
    return 3 if RowVerdict.INCONCLUSIVE in verdicts or not verdicts else 0


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
        notes=notes,
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


# XML 1.0 has no way to write most control characters, not even escaped (section 2.2).
_NOT_XML = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0xFFFE, 0xFFFF], "�")


def to_json(rows: Sequence[ReportRow], *, region: str) -> str:
    """Write one document: ``{region, summary, results}``. Empty fields are left out."""
    counts = {verdict.value: 0 for verdict in RowVerdict}
    for row in rows:
        counts[row.verdict] += 1
    document = {"region": region, "summary": counts, "results": [_plain(row) for row in rows]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _plain(row: ReportRow) -> dict[str, Any]:
    values = {
        one.name: value
        for one in fields(row)
        if one.name != "chain" and (value := getattr(row, one.name)) not in ("", None, ())
    }
    if row.expires is not None:
        values["expires"] = datetime.fromtimestamp(row.expires, UTC).isoformat()
    return values


def to_junit(rows: Sequence[ReportRow], *, region: str) -> str:
    """Write JUnit XML: a suite per check and provider, a case per edge and profile or per step."""
    root = ET.Element("testsuites", name=f"probe {region}".rstrip())
    suites: dict[str, ET.Element] = {}
    for row in rows:
        name = f"{row.check}/{row.provider}" if row.provider else row.check
        suite = suites.get(name)
        if suite is None:
            suite = suites[name] = ET.SubElement(root, "testsuite", name=_text(name))
        case = ET.SubElement(
            suite,
            "testcase",
            classname=_text(name),
            name=_text(" ".join(part for part in (row.target, row.edge, row.what) if part)),
            time=f"{row.seconds or 0.0:.3f}",
        )
        _add_verdict(case, row)
    for name, suite in suites.items():
        mine = [
            row
            for row in rows
            if (f"{row.check}/{row.provider}" if row.provider else row.check) == name
        ]
        suite.set("tests", str(len(mine)))
        suite.set("failures", str(sum(row.verdict is RowVerdict.FAIL for row in mine)))
        suite.set("errors", str(sum(row.verdict is RowVerdict.INCONCLUSIVE for row in mine)))
        suite.set("skipped", str(sum(row.verdict is RowVerdict.SKIPPED for row in mine)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_verdict(case: ET.Element, row: ReportRow) -> None:
    message = _text(f"{row.phase}/{row.reason}: {row.detail}" if row.reason else "")
    body = _text("\n".join([*([row.command] if row.command else []), *row.notes]))
    match row.verdict:
        case RowVerdict.FAIL:
            ET.SubElement(case, "failure", message=message, type=row.reason).text = body
        case RowVerdict.INCONCLUSIVE:
            ET.SubElement(case, "error", message=message, type=row.reason).text = body
        case RowVerdict.SKIPPED:
            ET.SubElement(case, "skipped", message=body)
        case RowVerdict.PASS:
            if body:
                ET.SubElement(case, "system-out").text = body


def _text(value: str) -> str:
    return value.translate(_NOT_XML).encode("utf-8", "replace").decode("utf-8")
