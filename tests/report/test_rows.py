"""Results become rows, rows become an exit code, JSON, JUnit and a matrix."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree as ET

from rich.console import Console

from probe.model.failure import Failure, Phase, Reason
from probe.model.records import CaaSet, HttpsSet, NameFindings, NameRecords, NotLookedAt
from probe.model.result import (
    CertificateFacts,
    Failed,
    FlowResult,
    Handshake,
    Inconclusive,
    Missing,
    Outcome,
    Passed,
    ResolveResult,
    Skipped,
    StepResult,
    Timings,
    TlsResult,
)
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution
from probe.report import RowVerdict, exit_code, rows_of
from probe.report.console import table
from probe.report.machine import to_json, to_junit

NAME_MISMATCH = Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH, "shows *.cdn-b.example")


def leaf(fingerprint: str, key_type: str = "ecdsa") -> CertificateFacts:
    return CertificateFacts(
        fingerprint_sha256=fingerprint * 32,
        spki_sha256="00" * 32,
        subject="CN=shop.example",
        issuer="CN=Issuer",
        serial="01",
        not_before=0.0,
        not_after=1_900_000_000.0,
        dns_names=("shop.example",),
        ip_names=(),
        key="ec-p256",
        key_type=key_type,
    )


def tls(
    ip: str,
    outcome: Outcome,
    fingerprint: str | None = "aa",
    client: str = "default",
    key_type: str = "ecdsa",
) -> TlsResult:
    edge = Edge(ip, 443)
    handshake = (
        Handshake("TLS 1.3", "TLS_AES_128_GCM_SHA256", (leaf(fingerprint, key_type),))
        if fingerprint
        else None
    )
    return TlsResult(
        EdgeKey("stores", "shop.example", "cdn-b", edge.label, client),
        edge,
        at=1.0,
        outcome=outcome,
        timings=Timings(total=0.012),
        handshake=handshake,
        command="" if isinstance(outcome, Passed) else "openssl s_client …",
    )


def shown(renderable: object) -> str:
    out = StringIO()
    Console(file=out, width=200, color_system=None).print(renderable)
    return out.getvalue()


def test_exit_code_prefers_failures_over_inconclusive_over_pass() -> None:
    passed = tls("192.0.2.1", Passed())
    failed = tls("192.0.2.2", Failed(NAME_MISMATCH))
    ours = tls("192.0.2.3", Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE)))
    assert exit_code(rows_of([passed])) == 0
    assert exit_code(rows_of([passed, ours])) == 3
    assert exit_code(rows_of([passed, ours, failed])) == 1


def test_nothing_probed_is_inconclusive() -> None:
    assert exit_code([]) == 3


def test_a_flow_gives_a_row_for_each_step_and_a_skipped_one_does_not_fail() -> None:
    flow = FlowResult(
        FlowKey("cli", "cli", "live", "developer"),
        at=1.0,
        outcome=Passed(),
        steps=(
            StepResult("login", "login", Passed(), attempts=1),
            StepResult("apps", "backend", Skipped(Missing("token"))),
        ),
    )
    rows = rows_of([flow])
    assert [(row.what, row.verdict) for row in rows] == [
        ("developer:login", RowVerdict.PASS),
        ("developer:apps", RowVerdict.SKIPPED),
    ]
    assert "needs token" in rows[1].notes[0]
    assert exit_code(rows) == 0


def test_dns_has_a_row_only_when_it_failed_or_gave_nothing() -> None:
    key = ProviderKey("stores", "shop.example", "live")
    good = ResolveResult(key, 1.0, Resolution((Edge("192.0.2.1", 443),)))
    bad = ResolveResult(key, 1.0, Resolution((), Failure(Phase.RESOLVE, Reason.NXDOMAIN)))
    only_v6 = ResolveResult(key, 1.0, Resolution((), skipped_ipv6=2))
    assert rows_of([good]) == []
    assert [(row.verdict, row.reason) for row in rows_of([bad])] == [(RowVerdict.FAIL, "nxdomain")]
    assert [row.verdict for row in rows_of([only_v6])] == [RowVerdict.INCONCLUSIVE]


def test_json_holds_summary_and_leaves_out_what_is_empty() -> None:
    document = json.loads(to_json(rows_of([tls("192.0.2.1", Passed())]), region="eu-west"))
    assert document["region"] == "eu-west"
    assert document["summary"]["pass"] == 1
    (result,) = document["results"]
    assert result["expires"] == "2030-03-17T17:46:40+00:00"
    assert "reason" not in result


def test_junit_counts_by_suite_and_survives_characters_that_xml_cannot_hold() -> None:
    nasty = Failure(Phase.TLS, Reason.PLAIN_TEXT, 'banner "\x00\x1b[31m<b>&\ud800"')
    rows = rows_of([tls("192.0.2.1", Passed()), tls("192.0.2.2", Failed(nasty), None)])
    suite = ET.fromstring(to_junit(rows, region="eu-west")).find("testsuite")  # noqa: S314 - our own report
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "<b>&" in failure.get("message", "")


def test_the_table_shows_failures_with_command_and_counts_the_rest() -> None:
    rows = rows_of([tls("192.0.2.1", Passed()), tls("192.0.2.2", Failed(NAME_MISMATCH))])
    text = shown(table(rows, all_rows=False))
    assert "192.0.2.1:443" not in text
    assert "192.0.2.2:443" in text
    assert "certificate/name_mismatch" in text
    assert "shows *.cdn-b.example" in text
    assert "openssl s_client" in text
    assert "1 pass, 1 FAIL" in text
    assert "192.0.2.1:443" in shown(table(rows, all_rows=True))


def test_targets_that_fail_alike_on_one_edge_share_a_block_that_names_them_all() -> None:
    failed = [
        replace(result, key=result.key._replace(target=name))
        for name in ("a.example", "b.example", "c.example")
        for result in [tls("192.0.2.2", Failed(NAME_MISMATCH))]
    ]
    text = shown(table(rows_of(failed), all_rows=False))
    assert text.count("name_mismatch") == 1
    assert "3 targets: a.example, b.example, c.example" in text


def test_what_was_left_out_of_a_good_answer_is_said_and_fails_nothing() -> None:
    key = ProviderKey("stores", "shop.example", "live")
    edges = (Edge("192.0.2.1", 443),)
    rows = rows_of([ResolveResult(key, 1.0, Resolution(edges, skipped_ipv6=2, notes=("odd",)))])
    assert [row.verdict for row in rows] == [RowVerdict.SKIPPED]
    assert rows[0].notes == ("2 IPv6 addresses skipped: no IPv6 route here", "odd")
    assert exit_code([*rows, *rows_of([tls("192.0.2.1", Passed())])]) == 0
    assert exit_code(rows) == 3, "of nothing but skipped rows nothing was learned"


def test_records_beside_addresses_are_said_and_fail_nothing() -> None:
    key, found = (
        ProviderKey("stores", "shop.example", "live"),
        Resolution((Edge("192.0.2.1", 443),)),
    )
    hint = Failure(Phase.RESOLVE, Reason.HINT_NOT_AN_EDGE, "a hint")
    seen = NameRecords(https=HttpsSet("shop.example"))
    quiet = ResolveResult(key, 1.0, found, NameFindings(seen))
    assert rows_of([quiet]) == []
    (warned,) = rows_of([ResolveResult(key, 1.0, found, NameFindings(seen, (hint,)))])
    assert (warned.verdict, warned.notes) == (RowVerdict.PASS, (str(hint),))
    lost = NameRecords(caa=NotLookedAt("nobody\x1b answered"), wildcard_caa=CaaSet())
    (unseen,) = rows_of([ResolveResult(key, 1.0, found, NameFindings(lost))])
    assert unseen.verdict is RowVerdict.SKIPPED, "not looked at is not passed"
    assert unseen.notes == (r"CAA records not looked at: nobody\x1b answered",)
    assert exit_code([unseen, warned]) == 0
    nowhere = Resolution((), Failure(Phase.RESOLVE, Reason.SERVFAIL))
    (failed,) = rows_of([ResolveResult(key, 1.0, nowhere, NameFindings(lost))])
    assert failed.verdict is RowVerdict.FAIL
    assert failed.notes == unseen.notes


def test_what_cannot_be_told_of_an_edge_is_a_note() -> None:
    (row,) = rows_of([replace(tls("192.0.2.1", Passed()), notes=("which name …",))])
    assert (row.verdict, row.notes) == (RowVerdict.PASS, ("which name …",))


def test_rows_do_not_depend_on_which_attempt_ended_first() -> None:
    results = [
        tls("192.0.2.2", Passed()),
        tls("192.0.2.1", Passed(), client="tls13"),
        tls("192.0.2.1", Passed()),
    ]
    assert rows_of(results) == rows_of(reversed(results))


def test_steps_stay_in_the_order_in_which_they_ran() -> None:
    far, near = Edge("192.0.2.9", 443), Edge("192.0.2.1", 443)
    steps = (
        StepResult("login", "login", Passed(), attempts=1, edge=far),
        StepResult("apps", "backend", Passed(), attempts=1, edge=near),
        StepResult("more", "backend", Skipped(Missing("token"))),
    )
    flow = FlowResult(FlowKey("cli", "cli", "live", ""), 1.0, Passed(), steps)
    assert [row.what for row in rows_of([flow])] == ["login", "apps", "more"]


def test_a_run_that_no_step_speaks_for_has_a_row_of_its_own() -> None:
    """Out of time, or not finished by our own code: no step failed, and yet nothing passed."""
    key = FlowKey("cli", "cli", "", "admin")
    skipped = StepResult("whoami", "backend", Skipped(Missing("time")))
    late = Failed(Failure(Phase.EXPECT, Reason.TIMEOUT, "ran out of time"))
    *_, row = rows_of([FlowResult(key, 0.0, late, (skipped,), seconds=9.0)])
    assert (row.what, row.verdict, row.seconds) == ("admin:run", RowVerdict.FAIL, 9.0)
    assert exit_code([row]) == 1
    defect = Inconclusive(Failure(Phase.SEND, Reason.DEFECT, "IndexError at x.py:1"))
    (row,) = rows_of([FlowResult(key, 0.0, defect, ())])
    assert (row.verdict, row.reason, row.detail) == (
        RowVerdict.INCONCLUSIVE,
        "defect",
        "IndexError at x.py:1",
    )
    assert exit_code([row]) == 3


def test_a_block_names_the_clients_that_fail_and_those_that_pass_there() -> None:
    refused = Failed(Failure(Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE))
    rows = rows_of(
        [
            tls("192.0.2.1", refused, None, client="java"),
            tls("192.0.2.1", refused, None, client="android"),
            tls("192.0.2.1", Passed(), client="chrome"),
            tls("192.0.2.2", Passed(), client="go"),
        ]
    )
    lines = [line.strip() for line in shown(table(rows, all_rows=False)).splitlines()]
    assert lines.count("fails for android and java, passes for chrome") == 2


def test_where_one_client_looks_a_block_names_none() -> None:
    refused = Failed(Failure(Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE))
    assert "fails for" not in shown(
        table(rows_of([tls("192.0.2.1", refused, None)]), all_rows=False)
    )
