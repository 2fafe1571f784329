"""What DNS says about a name against what its edges show: HTTPS and CAA records. Pure.

All of it are warnings: an edge that works goes on working. What was not looked at, and what
cannot be told, is said in words and never counts as good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from probe.model.failure import Failure, Phase, Reason, printable
from probe.model.records import (
    CaaSet,
    HttpsSet,
    NameFindings,
    NameRecords,
    NotLookedAt,
)
from probe.model.result import CertificateFacts, Failed, Handshake, Passed, TlsResult
from probe.model.target import Edge, Resolution
from probe.state.caa import caa_opinion

_MOST_EDGES = 64
"""With so many addresses some may have been left out, and a hint may be one of those."""

_SHOWN = 4


def with_promises(
    result: TlsResult,
    records: NameRecords,
    *,
    name: str,
    offered: Sequence[str],
    issuers: Mapping[str, tuple[str, ...]],
) -> TlsResult:
    """Add to an attempt what its edge does not keep of what DNS says.

    Args:
        result: of an edge of the name.
        records: of the name.
        name: that the certificate must be for.
        offered: application protocols of the attempt, the preferred one first.
        issuers: CAA names of organisations, by the check.
    """
    shown = result.handshake
    if shown is None:
        return result
    found: list[Failure] = []
    notes: list[str] = []
    if isinstance(records.https, HttpsSet):
        found += _broken_alpn(records.https, shown, result.edge, offered)
    if shown.leaf is not None:
        for forbids, why in _caa(records, shown.leaf, name, issuers):
            if forbids:
                found.append(Failure(Phase.CERTIFICATE, Reason.CAA_FORBIDS_ISSUER, why))
            else:
                notes.append(why)
    if not (found or notes):
        return result
    match result.outcome:
        case Passed(warnings):
            outcome: Passed | Failed = Passed((*warnings, *found))
        case Failed(others=others) as failed:
            outcome = replace(failed, others=(*others, *found))
        case _:
            return result
    return replace(result, outcome=outcome, notes=(*result.notes, *notes))


def _broken_alpn(
    https: HttpsSet, shown: Handshake, edge: Edge, offered: Sequence[str]
) -> Iterator[Failure]:
    """A protocol that the record promises, and that the edge did not choose.

    A record speaks of the edge that it hints at, or else of all. What several promise counts, and
    what the attempt prefers to the chosen one: whether the edge has others is not looked at.
    """
    records = [r for r in https.records if not r.foreign and r.port in (None, edge.port)]
    records = [record for record in records if edge.ip in record.hints] or records
    if not records:
        return
    chosen = shown.alpn
    better = offered[: offered.index(chosen)] if chosen in offered else offered
    missing = [
        one
        for one in better
        if all(one in record.alpn for record in records)
        and (chosen is not None or one != "http/1.1")  # spoken where nothing is agreed upon
    ]
    if missing:
        detail = (
            f"the HTTPS record of {https.name} promises {', '.join(missing)}; offered "
            f"{', '.join(offered)}, the edge chose {printable(chosen or 'none')}"
        )
        yield Failure(Phase.TLS, Reason.ALPN_NOT_SERVED, detail)


def _caa(
    records: NameRecords,
    leaf: CertificateFacts,
    name: str,
    issuers: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[bool, str]]:
    """What CAA says about the issuer, by the entry of the certificate that covers the name."""
    names = {one.lower() for one in leaf.dns_names}
    wildcard = name not in names
    if wildcard and f"*.{name.partition('.')[2]}" not in names:
        return
    found = records.wildcard_caa if wildcard else records.caa
    if isinstance(found, CaaSet):
        opinion = caa_opinion(found, leaf.issuer, wildcard=wildcard, own=issuers)
        if opinion.why:
            yield opinion.forbids, opinion.why


def name_findings(records: NameRecords, found: Resolution) -> NameFindings:
    """Compare the hints of HTTPS records with the addresses of the name."""
    if not isinstance(records.https, HttpsSet):
        return NameFindings(records)
    return NameFindings(records, tuple(_strange_hints(records.https, found)))


def _strange_hints(https: HttpsSet, found: Resolution) -> Iterator[Failure]:
    """Hints at addresses that the name does not have.

    Only of an IP version of which addresses are known: AAAA may be unanswered, or left out here.
    """
    known = {edge.ip for edge in found.edges}
    versions = {edge.version for edge in found.edges}
    if found.skipped_ipv6:
        versions.discard(6)
    if found.failure is not None or len(known) >= _MOST_EDGES:
        return
    hints = [hint for record in https.records if not record.foreign for hint in record.hints]
    strange = [
        hint
        for hint in dict.fromkeys(hints)
        if hint not in known and (6 if ":" in hint else 4) in versions
    ]
    if strange:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        detail = (
            f"the HTTPS record of {https.name} hints at {', '.join(strange[:_SHOWN])}{more}, "
            "which A and AAAA do not name"
        )
        yield Failure(Phase.RESOLVE, Reason.HINT_NOT_AN_EDGE, detail)


def not_looked_at(records: NameRecords) -> tuple[str, ...]:
    """Say in words which records were not looked at, and why."""
    known = (("HTTPS", records.https), ("CAA", records.caa), ("CAA", records.wildcard_caa))
    lines = (_unseen(what, one.why) for what, one in known if isinstance(one, NotLookedAt))
    return tuple(dict.fromkeys(lines))


def told(records: NameRecords) -> tuple[str, ...]:
    """Say in words what was looked up, and what was not looked at."""
    lines = [*_told_https(records.https)]
    lines += _told_caa("CAA", records.caa)
    if records.wildcard_caa != records.caa:
        lines += _told_caa("CAA for a wildcard", records.wildcard_caa)
    return tuple(lines)


def _told_https(https: HttpsSet | NotLookedAt | None) -> Iterator[str]:
    match https:
        case NotLookedAt(why):
            yield _unseen("HTTPS", why)
        case HttpsSet(name, ()):
            yield f"{name} has no HTTPS record"
        case HttpsSet(name, records):
            for one in records[:_SHOWN]:
                parts = [f"HTTPS of {name}: priority {one.priority}"]
                parts += [f"target {one.target}"] if one.target != name else []
                parts += [f"port {one.port}"] if one.port is not None else []
                parts += [f"alpn {_listed(one.alpn)}"] if one.alpn else []
                parts += [f"hints {_listed(one.hints)}"] if one.hints else []
                yield ", ".join(parts)
            if any("h3" in one.alpn for one in records):
                yield "HTTP/3, which an HTTPS record promises, is not looked at"
        case None:
            return


def _told_caa(what: str, found: CaaSet | NotLookedAt | None) -> Iterator[str]:
    match found:
        case NotLookedAt(why):
            yield _unseen(what, why)
        case CaaSet(records=()):
            yield f"{what}: no record, any authority may issue"
        case CaaSet(name, records):
            texts = [printable(f'{one.tag} "{one.value[:80]}"') for one in records]
            yield f"{what} of {name}: {_listed(texts)}"
        case None:
            return


def _unseen(what: str, why: str) -> str:
    return f"{what} records not looked at: {printable(why)}"


def _listed(texts: Iterable[str]) -> str:
    known = [printable(text) for text in texts]
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return f"{', '.join(known[:8])}{more}"
