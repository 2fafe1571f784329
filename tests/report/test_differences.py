"""Certificates that differ between edges, a pattern for all targets that differ alike."""

from __future__ import annotations

from dataclasses import replace

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Passed, TlsResult
from probe.report import ReportRow, rows_of
from probe.report.differences import MOST_PATTERNS, patterns
from probe.report.lines import lines
from tests.report.test_rows import tls

NOT_KNOWN = Failed(Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME))


def of(target: str, *results: TlsResult) -> list[ReportRow]:
    return rows_of(replace(one, key=one.key._replace(target=target)) for one in results)


def test_edges_that_agree_differ_in_nothing() -> None:
    assert patterns(rows_of([tls("192.0.2.1", Passed()), tls("192.0.2.2", Passed())])) == []


def test_rsa_beside_ecdsa_is_no_difference() -> None:
    pair = [
        tls("192.0.2.1", Passed(), "aa", "tls12-ecdsa"),
        tls("192.0.2.1", Passed(), "bb", "tls12-rsa", "rsa"),
        tls("192.0.2.2", Passed(), "bb", "tls12-ecdsa", "rsa"),
    ]
    assert patterns(rows_of(pair)) == []


def test_an_edge_that_shows_none_is_no_row_of_the_differences() -> None:
    """It fails, and that is said once."""
    rows = rows_of([tls("192.0.2.1", Passed()), tls("192.0.2.2", NOT_KNOWN, None)])
    assert patterns(rows) == []
    refused = Failed(Failure(Phase.CONNECT, Reason.REFUSED))
    nothing = [tls("192.0.2.1", refused, None), tls("192.0.2.2", NOT_KNOWN, None)]
    assert patterns(rows_of(nothing)) == []


def test_a_pattern_says_which_edges_serve_what_until_when() -> None:
    rows = rows_of(
        [
            tls("192.0.2.1", Passed(), "bb"),
            tls("192.0.2.2", Passed(), "aa"),
            tls("192.0.2.3", Passed(), "aa"),
            tls("192.0.2.4", NOT_KNOWN, None),
        ]
    )
    (pattern,) = patterns(rows)
    assert pattern.words(None) == [
        "cdn-b default",
        "192.0.2.2:443, 192.0.2.3:443 serve A (ecdsa aaaaaaaaaaaa until 2030-03-17)",
        "192.0.2.1:443 serves B (ecdsa bbbbbbbbbbbb until 2030-03-17)",
        "shop.example",
    ]


def test_ninety_domains_that_differ_alike_are_one_pattern() -> None:
    """Each has certificates of its own."""
    rows = [
        row
        for number in range(90)
        for row in of(
            f"s{number:02}.example",
            tls("192.0.2.1", Passed(), f"{number:02x}"),
            tls("192.0.2.2", Passed(), f"{number + 100:02x}"),
        )
    ]
    (pattern,) = patterns(rows)
    _, first, second, targets = pattern.words(2)
    assert first == "192.0.2.1:443 serves A (ecdsa 90 ones until 2030-03-17)"
    assert second == "192.0.2.2:443 serves B (ecdsa 90 ones until 2030-03-17)"
    assert targets == "90 targets: s00.example, s01.example and 88 more (-o wide names all)"
    said = [line for line in lines(rows, all_rows=False) if "differ" in line]
    assert len(said) == 1
    assert "s89.example" in said[0]


def test_domains_with_edges_of_their_own_do_not_flood_the_table() -> None:
    rows = [
        row
        for number in range(90)
        for row in of(
            f"s{number:02}.example",
            tls(f"192.0.2.{number}", Passed(), "aa"),
            tls(f"198.51.100.{number}", Passed(), "bb"),
        )
    ]
    said = [line for line in lines(rows, all_rows=False) if "differ" in line]
    assert len(said) == MOST_PATTERNS + 1
    assert said[-1] == "80 more ways in which certificates differ; -o json has all rows"
