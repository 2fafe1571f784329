"""What DNS promises against what edges show: findings, notes, and nothing that was not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.records import (
    CaaRecord,
    CaaSet,
    HttpsRecord,
    HttpsSet,
    NameRecords,
    NotLookedAt,
)
from probe.model.result import (
    CertificateFacts,
    Failed,
    Handshake,
    Inconclusive,
    Outcome,
    Passed,
    Timings,
    TlsResult,
)
from probe.model.target import Edge, EdgeKey, Resolution
from probe.state.promises import name_findings, not_looked_at, told, with_promises

NAME = "www.shop.example"
OFFERED = ("h2", "http/1.1")
LEAF = CertificateFacts(
    "ab" * 32,
    "cd" * 32,
    f"CN={NAME}",
    "CN=CA 1,O=Example Trust",
    "01",
    0.0,
    9e9,
    (NAME,),
    (),
    "ec-p256",
    "ecdsa",
)
UNSEEN = NotLookedAt("CAA shop.example: 192.0.2.53:53 says SERVFAIL")
OWN = {"Example Trust": ("ca.example",)}


def https(*records: HttpsRecord) -> NameRecords:
    return NameRecords(https=HttpsSet(NAME, records))


def caa(value: str, *, wildcard: str | None = None) -> NameRecords:
    exact = CaaSet(NAME, (CaaRecord(False, "issue", value),))
    above = None if wildcard is None else CaaSet("example", (CaaRecord(False, "issue", wildcard),))
    return NameRecords(caa=exact, wildcard_caa=above or exact)


def attempt(
    outcome: Outcome | None = None,
    *,
    alpn: str | None = "h2",
    leaf: CertificateFacts | None = LEAF,
    ip: str = "192.0.2.1",
) -> TlsResult:
    edge = Edge(ip, 443)
    key = EdgeKey("shop", NAME, "live", edge.label, "default")
    chain = () if leaf is None else (leaf,)
    shown = Handshake("TLS 1.3", "TLS_AES_128_GCM_SHA256", chain, alpn=alpn)
    return TlsResult(key, edge, 1.0, outcome or Passed(), Timings(), shown)


def judged(
    result: TlsResult, records: NameRecords, offered: tuple[str, ...] = OFFERED
) -> TlsResult:
    return with_promises(result, records, name=NAME, offered=offered, issuers=OWN)


def reasons(result: TlsResult) -> list[Reason]:
    match result.outcome:
        case Passed(warnings):
            return [one.reason for one in warnings]
        case Failed(others=others):
            return [one.reason for one in others]
        case Inconclusive():
            return []


H2 = HttpsRecord(1, NAME, ("h2",))


@pytest.mark.parametrize("chosen", ["http/1.1", None])
def test_a_protocol_that_is_promised_and_not_chosen_is_a_warning(chosen: str | None) -> None:
    result = judged(attempt(alpn=chosen), https(H2))
    assert reasons(result) == [Reason.ALPN_NOT_SERVED]
    assert isinstance(result.outcome, Passed)
    assert result.outcome.warnings[0].detail == (
        f"the HTTPS record of {NAME} promises h2; offered h2, http/1.1, "
        f"the edge chose {chosen or 'none'}"
    )


@pytest.mark.parametrize(
    ("record", "alpn", "offered"),
    [
        (H2, "h2", OFFERED),
        (HttpsRecord(1, NAME, ("h3",)), "http/1.1", OFFERED),  # QUIC is not looked at
        (HttpsRecord(1, NAME, ("h2", "http/1.1")), "h2", OFFERED),
        (HttpsRecord(1, NAME, ("http/1.1",)), None, OFFERED),  # what is spoken without ALPN
        (H2, None, ()),  # nothing was offered
        (H2, "http/1.1", ("http/1.1",)),
        (H2, "http/1.1", ("http/1.1", "h2")),  # the attempt preferred what it got
        (HttpsRecord(1, NAME), "http/1.1", OFFERED),
        (replace(H2, port=8443), "http/1.1", OFFERED),  # another endpoint
        (replace(H2, foreign=(667,)), "http/1.1", OFFERED),  # clients skip it
    ],
)
def test_nothing_is_broken(record: HttpsRecord, alpn: str | None, offered: tuple[str, ...]) -> None:
    result = attempt(alpn=alpn)
    assert judged(result, https(record), offered) is result


def test_a_record_speaks_of_the_edge_that_it_hints_at() -> None:
    other = HttpsRecord(2, NAME, ("http/1.1",), hints=("192.0.2.2",))
    records = https(replace(H2, hints=("192.0.2.1",)), other)
    assert reasons(judged(attempt(alpn="http/1.1"), records)) == [Reason.ALPN_NOT_SERVED]
    assert reasons(judged(attempt(alpn="http/1.1", ip="192.0.2.2"), records)) == []
    unhinted = attempt(alpn="http/1.1", ip="192.0.2.3")
    assert judged(unhinted, records) is unhinted, "only one of two records promises it"


def test_an_issuer_that_is_forbidden_is_a_warning() -> None:
    result = judged(attempt(), caa("other.example"))
    assert isinstance(result.outcome, Passed)
    (found,) = result.outcome.warnings
    assert (found.phase, found.reason) == (Phase.CERTIFICATE, Reason.CAA_FORBIDS_ISSUER)
    assert judged(attempt(), caa("ca.example")) == attempt()


def test_a_wildcard_is_judged_by_its_own_set() -> None:
    wild = replace(LEAF, dns_names=("*.shop.example",))
    records = caa("ca.example", wildcard="other.example")
    assert reasons(judged(attempt(leaf=wild), records)) == [Reason.CAA_FORBIDS_ISSUER]
    assert reasons(judged(attempt(), records)) == []
    both = replace(LEAF, dns_names=("*.shop.example", NAME))
    assert reasons(judged(attempt(leaf=both), records)) == []


def test_a_certificate_for_other_names_is_not_judged_by_caa() -> None:
    other = replace(LEAF, dns_names=("other.example",))
    assert reasons(judged(attempt(leaf=other), caa("other.example"))) == []


def test_what_cannot_be_told_is_a_note() -> None:
    strange = replace(LEAF, issuer="O=Unknown")
    result = judged(attempt(leaf=strange), caa("ca.example"))
    assert reasons(result) == []
    assert "cannot be told" in result.notes[0]


def test_findings_stand_behind_a_failure_and_spare_what_is_ours() -> None:
    expired = Failure(Phase.CERTIFICATE, Reason.EXPIRED)
    failed = judged(attempt(Failed(expired)), caa("other.example"))
    assert isinstance(failed.outcome, Failed)
    assert failed.outcome.failure == expired
    assert reasons(failed) == [Reason.CAA_FORBIDS_ISSUER]
    ours = attempt(Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE)))
    assert judged(ours, caa("other.example")) is ours


def test_without_a_handshake_nothing_is_judged() -> None:
    result = replace(attempt(), handshake=None)
    assert judged(result, caa("other.example")) is result


def test_what_was_not_looked_at_finds_nothing_and_is_said() -> None:
    records = NameRecords(https=UNSEEN, caa=UNSEEN, wildcard_caa=UNSEEN)
    result = attempt(alpn=None)
    assert judged(result, records) is result
    assert not_looked_at(records) == (
        f"HTTPS records not looked at: {UNSEEN.why}",
        f"CAA records not looked at: {UNSEEN.why}",
    )
    assert told(records) == not_looked_at(records)
    assert records.looked_at() == {"HTTPS": False, "CAA": False}
    half = replace(records, caa=CaaSet())
    assert half.looked_at() == {"HTTPS": False, "CAA": False}, "one of two sets"


# ---------------------------------------------------------------- hints


def resolution(*ips: str, **more: object) -> Resolution:
    return Resolution(tuple(Edge(ip, 443) for ip in ips), **more)  # type: ignore[arg-type]


def hinting(*ips: str) -> NameRecords:
    return https(HttpsRecord(1, NAME, hints=ips))


def test_a_hint_at_another_address_is_a_warning() -> None:
    found = name_findings(hinting("192.0.2.1", "192.0.2.9"), resolution("192.0.2.1"))
    (warning,) = found.warnings
    assert (warning.phase, warning.reason) == (Phase.RESOLVE, Reason.HINT_NOT_AN_EDGE)
    assert "192.0.2.9, which A and AAAA do not name" in warning.detail
    assert "192.0.2.1," not in warning.detail


def test_many_hints_are_counted() -> None:
    hints = [f"192.0.2.{number}" for number in range(2, 9)]
    (warning,) = name_findings(hinting(*hints), resolution("192.0.2.1")).warnings
    assert "192.0.2.5 and 3 more" in warning.detail


@pytest.mark.parametrize(
    "found",
    [
        resolution("192.0.2.1", failure=Failure(Phase.RESOLVE, Reason.SERVFAIL)),
        resolution(),
        resolution("2001:db8::1"),  # no answer to A, perhaps
        resolution(*(f"192.0.2.{number}" for number in range(1, 65))),  # some are left out
    ],
)
def test_without_addresses_to_compare_with_no_hint_is_strange(found: Resolution) -> None:
    assert name_findings(hinting("192.0.2.99"), found).warnings == ()


def test_ipv6_hints_are_not_compared_where_addresses_were_left_out() -> None:
    hints = hinting("2001:db8::9")
    assert name_findings(hints, resolution("2001:db8::1")).warnings
    assert not name_findings(hints, resolution("2001:db8::1", skipped_ipv6=1)).warnings
    assert not name_findings(hints, resolution("192.0.2.1")).warnings


def test_an_edge_that_is_kept_from_before_is_an_edge() -> None:
    kept = Resolution((Edge("192.0.2.1", 443), Edge("192.0.2.9", 443, unnamed=60.0)))
    assert name_findings(hinting("192.0.2.9"), kept).warnings == ()


# ---------------------------------------------------------------- words


def test_records_are_told_in_words() -> None:
    service = HttpsRecord(1, "cdn.example", ("h2", "h3"), port=8443, hints=("192.0.2.1",))
    records = replace(caa("ca.example", wildcard="other.example"), https=HttpsSet(NAME, (service,)))
    assert told(records) == (
        f"HTTPS of {NAME}: priority 1, target cdn.example, port 8443, alpn h2, h3, hints 192.0.2.1",
        "HTTP/3, which an HTTPS record promises, is not looked at",
        f'CAA of {NAME}: issue "ca.example"',
        'CAA for a wildcard of example: issue "other.example"',
    )


def test_none_is_told_too() -> None:
    assert told(NameRecords(HttpsSet(NAME), CaaSet(), CaaSet())) == (
        f"{NAME} has no HTTPS record",
        "CAA: no record, any authority may issue",
    )
    assert told(NameRecords()) == ()


def test_words_hold_no_controls_and_have_bounds() -> None:
    evil = HttpsRecord(1, NAME, tuple(f"\x1b[{n}m" for n in range(100)))
    record = CaaRecord(False, "issue", "\x1b" * 10_000)
    records = NameRecords(HttpsSet(NAME, (evil,) * 100), CaaSet(NAME, (record,) * 100), CaaSet())
    lines = told(records)
    assert all(line.isprintable() and len(line) < 4000 for line in lines)
    assert len(lines) < 10
