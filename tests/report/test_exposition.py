"""A run as series: what Prometheus reads, and what promtool says of it."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed
from probe.report import ReportRow, rows_of
from probe.report.exposition import to_prometheus
from tests.report.test_findings import blamed, run
from tests.report.test_rows import NAME_MISMATCH, tls


def everything() -> list[ReportRow]:
    ours = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
    edges = [
        tls("192.0.2.1", Passed()),
        tls("192.0.2.2", Failed(NAME_MISMATCH)),
        tls("192.0.2.3", ours, None),
    ]
    return [*rows_of(edges), *blamed(run())]


def series(rows: list[ReportRow], name: str) -> dict[tuple[str, str], float]:
    text = to_prometheus(rows, region="eu-west", now=1_800_000_000.5)
    return {
        (one.labels.get("edge", ""), one.labels.get("what", "")): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name == name
    }


def test_a_row_of_which_nothing_can_be_said_has_no_verdict() -> None:
    assert series(everything(), "probe_check_success") == {
        ("192.0.2.1:443", "default"): 1.0,
        ("192.0.2.2:443", "default"): 0.0,
        ("", "person:control"): 1.0,
        ("", "person:whoami"): 0.0,  # one of its attempts passes
    }


def test_the_run_says_when_it_ended_and_how() -> None:
    assert series(everything(), "probe_check_end_timestamp_seconds") == {("", ""): 1_800_000_000.5}
    assert series(everything(), "probe_check_exit_status") == {("", ""): 1.0}
    assert series([], "probe_check_exit_status") == {("", ""): 3.0}
    assert series([], "probe_check_success") == {}


@pytest.mark.real
@pytest.mark.parametrize("rows", [everything(), []], ids=["everything", "nothing"])
def test_promtool_accepts_it(rows: list[ReportRow]) -> None:
    text = to_prometheus(rows, region="eu-west", now=1_800_000_000.5)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
