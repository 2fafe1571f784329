"""What is alike is one finding: on a terminal, in a pipe, and as an annotation."""

from __future__ import annotations

from dataclasses import replace

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import (
    Evidence,
    Failed,
    FlowResult,
    Missing,
    NoLogin,
    Outcome,
    Passed,
    Skipped,
    StepOutcome,
    StepResult,
    Timings,
)
from probe.model.state import Diagnosis
from probe.model.target import FlowKey
from probe.report import ReportRow, rows_of
from probe.report.console import table
from probe.report.findings import findings
from probe.report.lines import lines, wide
from probe.report.machine import to_github, to_junit
from tests.report.test_rows import NAME_MISMATCH, tls

ANSWERED_500 = Failed(Failure(Phase.EXPECT, Reason.STATUS, "500 Internal Server Error"))


def step(name: str, layer: str, outcome: StepOutcome, command: str = "") -> StepResult:
    evidence = Evidence(command=command)
    return StepResult(name, layer, outcome, Timings(total=0.045), 1, evidence=evidence)


def run(target: str = "cli", persona: str = "person") -> FlowResult:
    steps = (
        step("control", "control", Passed()),
        step("whoami", "authorization", Passed()),
        step("whoami", "authorization", ANSWERED_500, "curl https://api.example/whoami"),
        step("whoami", "authorization", ANSWERED_500, "curl https://api.example/whoami"),
        step("apps", "backend", Skipped(Missing("id"))),
    )
    return FlowResult(FlowKey("cli", target, "api", persona), 1.0, ANSWERED_500, steps)


def blamed(*runs: FlowResult) -> list[ReportRow]:
    why = "whoami fails, control passes without credentials"
    return rows_of(runs, {}, {one.key: Diagnosis("authorization", why) for one in runs})


def alike(*names: str) -> list[ReportRow]:
    failed = tls("192.0.2.2", Failed(NAME_MISMATCH))
    return rows_of(replace(failed, key=failed.key._replace(target=name)) for name in names)


def test_a_flow_is_its_steps_with_their_attempts_and_the_layer_to_blame() -> None:
    assert table(blamed(run()), all_rows=False).plain.splitlines() == [
        "✗ FAIL flow cli through api as person  layer to blame: authorization",
        "  whoami fails, control passes without credentials",
        "  ✓ person:control  control        45 ms",
        "  ✗ person:whoami   authorization  2 of 3 attempts fail, expect/status: "
        "The status is not the expected one",
        "      500 Internal Server Error",
        "  curl https://api.example/whoami",
        "  - person:apps     backend        skipped: needs id, which no step before it gave",
        "",
        "2 pass, 2 FAIL, 1 skipped",
    ]


def test_what_a_flow_s_failure_depends_on_stands_under_the_step() -> None:
    rows = blamed(run())
    at = max(place for place, row in enumerate(rows) if row.what == "person:whoami")
    rows[at] = replace(rows[at], because="only whoami fails", experiments=("control: passes",))
    text = table(rows, all_rows=False).plain
    assert "\n      Because: only whoami fails\n        control: passes\n" in text
    assert "Because: only whoami fails" in to_junit(rows, region="here")
    other = blamed(run("b"))
    assert len(findings([*rows, *other])) == 2, "another cause, or none, is another finding"


def test_a_flow_in_a_pipe_is_one_line() -> None:
    first, last = lines(blamed(run()), all_rows=False)
    assert first.startswith("✗ FAIL flow cli through api as person  layer to blame: authorization")
    assert " | curl https://api.example/whoami | " in first
    assert last == "2 pass, 2 FAIL, 1 skipped"


def test_flows_that_go_alike_for_many_targets_are_one_finding() -> None:
    rows = blamed(run("a.example"), run("b.example"), run("b.example", persona="other"))
    assert [one.targets for one in findings(rows)] == [("a.example", "b.example"), ("b.example",)]


def test_flows_that_pass_are_shown_only_when_everything_is() -> None:
    quiet = FlowResult(
        FlowKey("cli", "cli", "api", ""), 1.0, Passed(), (step("one", "edge", Passed()),)
    )
    assert findings(rows_of([quiet])) == []
    assert len(findings(rows_of([quiet]), all_flows=True)) == 1
    skipped = replace(quiet, steps=(step("one", "edge", Skipped(NoLogin("person"))),))
    assert len(findings(rows_of([skipped]))) == 1


def test_in_a_pipe_every_finding_is_a_line_with_all_its_targets() -> None:
    said = list(lines(alike(*(f"s{number}.example" for number in range(30))), all_rows=False))
    assert len(said) == 3  # the finding, the counts, and what is known of revocation
    assert said[0].startswith("✗ FAIL cdn-b 192.0.2.2:443 default  certificate/name_mismatch  ")
    assert "s29.example" in said[0]
    assert said[0].endswith(" | openssl s_client …")


def test_a_line_end_of_a_server_makes_no_second_line() -> None:
    nasty = Failed(Failure(Phase.TLS, Reason.PLAIN_TEXT, "first\nsecond"))
    said = list(lines(rows_of([tls("192.0.2.1", nasty, None)]), all_rows=False))
    assert "first second" in said[0]
    assert len(said) == 2


def test_on_a_terminal_a_block_names_ten_targets_and_counts_the_rest() -> None:
    text = table(alike(*(f"s{number:02}.example" for number in range(30))), all_rows=False).plain
    assert "30 targets: s00.example" in text
    assert "s09.example and 20 more (-o wide names all)" in text


def test_wide_has_every_row_and_every_column() -> None:
    heading, passed, failed, counts = wide(
        rows_of([tls("192.0.2.1", Passed()), tls("192.0.2.2", Failed(NAME_MISMATCH))])
    )
    assert heading.split()[:4] == ["verdict", "check", "target", "provider"]
    assert passed.split()[:5] == ["pass", "stores", "shop.example", "cdn-b", "192.0.2.1:443"]
    assert passed.endswith(" -")
    assert failed.endswith("  openssl s_client …")
    assert failed.index("cdn-b") == passed.index("cdn-b") == heading.index("provider")
    assert counts == "1 pass, 1 FAIL"


def test_annotations_escape_what_would_end_them() -> None:
    outcome: Outcome = Failed(Failure(Phase.TLS, Reason.PLAIN_TEXT, "50%\r\nlost: a, b"))
    rows = rows_of([tls("192.0.2.1", outcome, None), tls("192.0.2.2", Passed())])
    annotation, counts = to_github(findings(rows), rows).splitlines()
    command, _, message = annotation.removeprefix("::").partition("::")
    assert command.startswith("error title=cdn-b 192.0.2.1%3A443 default")
    assert "," not in command
    assert ":" not in command
    assert r"50%25\r%0Alost: a, b" in message  # control characters are shown, not sent
    assert counts == "1 pass, 1 FAIL"
