"""What ``probe explain`` says, of everything that has a name."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from probe.cli.main import main
from probe.model.failure import Reason
from probe.serve.series.families import FAMILIES
from tests.regenerate import RUNBOOKS


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def test_everything_that_has_a_name_is_explained_and_listed() -> None:
    runbooks = [path.stem for path in RUNBOOKS.glob("*.md")]
    names = [*map(str, Reason), *runbooks, *(family.name for family in FAMILIES)]
    listed = explain().output
    for name in names:
        done = explain(name)
        assert done.exit_code == 0, done.output
        assert name in done.output.splitlines()[0]
        assert f"\n  {name}: " in listed


def test_a_reason_says_what_happened_why_and_how_to_look() -> None:
    said = explain("tls/alert_unrecognized_name").output
    assert "alert_unrecognized_name: The edge does not know this name" in said
    assert "Phase: tls (TLS handshake)" in said
    assert "Usual causes:\n  - " in said
    assert "Check by hand:\n  openssl s_client -connect EDGE:PORT" in said


def test_the_parts_of_a_histogram_are_its_family() -> None:
    assert "Type: histogram" in explain("probe_agent_loop_lag_seconds_bucket").output


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ProbeTargetDwn", "did you mean ProbeTargetDown"),
        ("zzz", "`probe explain` lists all of them"),
    ],
)
def test_what_has_no_such_name_is_2_and_names_what_is_near(name: str, hint: str) -> None:
    done = explain(name)
    assert done.exit_code == 2
    assert hint in done.output


def test_completion_knows_all_names() -> None:
    environ = {
        "_PROBE_COMPLETE": "bash_complete",
        "COMP_WORDS": "probe explain probe_edge_u",
        "COMP_CWORD": "2",
    }
    done = CliRunner().invoke(main, [], env=environ, prog_name="probe")
    assert "probe_edge_up" in done.output
