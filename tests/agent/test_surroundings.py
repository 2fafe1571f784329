"""Names on the command line, addresses, terminals: what a person meets first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from probe.agent import AgentError
from probe.agent.gate import CheckRequest, SelectionError, narrow, wanted
from probe.agent.service import listen_asked
from probe.cli.health import ask
from probe.config.loading import load
from probe.model.spec import LIVE, Listen, Provider, Spec
from probe.model.target import Target
from probe.report import ReportRow, RowVerdict
from probe.report.machine import to_junit
from tests.support.programs import probe

SHOP = Target("shop.example", written=True)
TEXT = """
providers: {cdn-b: {addresses: [127.0.0.1]}}
checks:
- {name: stores, kind: tls, targets: [shop.example, "shop.example:8443"], providers: [cdn-b]}
- {name: CLI, kind: api, steps: [{name: s, get: "https://api.example/"}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "probe.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def spec(file: Path) -> Spec:
    return load(file, environ={})


@pytest.mark.parametrize("written", ["CLI", "cli", "Cli"])
def test_a_flow_is_chosen_by_its_name_in_any_case(spec: Spec, written: str) -> None:
    selection = CheckRequest.parse(targets=[written])
    assert [check.name for check in narrow(spec, selection).checks] == ["stores", "CLI"]
    assert wanted(spec.targets["inline:stores"].static, selection) == ()


@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ("Shop.Example.", [SHOP, replace(SHOP, port=8443)]),
        ("SHOP.example:8443", [replace(SHOP, port=8443)]),
    ],
)
def test_a_target_is_chosen_as_people_write_it(
    spec: Spec, written: str, chosen: list[Target]
) -> None:
    selection = CheckRequest.parse(targets=[written])
    assert list(wanted(spec.targets["inline:stores"].static, selection)) == chosen


def test_the_provider_live_needs_no_declaration(spec: Spec) -> None:
    narrowed = narrow(spec, CheckRequest(providers=(LIVE,)))
    assert narrowed.checks[0].providers == (LIVE,)
    assert narrowed.providers[LIVE] == Provider(LIVE)


def test_an_unknown_provider_is_told_of_live_too(spec: Spec) -> None:
    with pytest.raises(SelectionError, match="'lve'; did you mean live"):
        narrow(spec, CheckRequest(providers=("lve",)))


@pytest.mark.parametrize(
    ("written", "listen"),
    [
        ("127.0.0.1:9469", Listen("127.0.0.1", 9469)),
        ("[::1]:0", Listen("::1", 0)),
        ("localhost:9469", Listen("localhost", 9469)),
    ],
)
def test_listen_on_the_command_line(written: str, listen: Listen) -> None:
    assert listen_asked(written) == listen


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (":9469", "write 127.0.0.1:9469 for this host only, 0.0.0.0:9469 for every network"),
        ("host:9469", '"host" is not an address; write for example 127.0.0.1:9469'),
        ("::1:9469", '"::1:9469" has no port; write for example 127.0.0.1:9469'),
        ("127.0.0.1:99999", "the port must be between 0 and 65535; 0 lets the system choose"),
    ],
)
def test_listen_and_health_refuse_what_the_configuration_refuses(
    written: str, message: str
) -> None:
    with pytest.raises(AgentError) as raised:
        listen_asked(written)
    assert str(raised.value) == f"--listen: {message}"
    assert ask(written, "/healthz", 1.0) == f"--listen: {message}"


def test_junit_without_a_region_has_a_name() -> None:
    row = ReportRow("stores", "shop.example", "cdn-b", "127.0.0.1:443", "default", RowVerdict.PASS)
    assert '<testsuites name="probe">' in to_junit([row], region="")
    assert '<testsuites name="probe lab">' in to_junit([row], region="lab")


def test_validate_says_that_a_region_is_still_missing(file: Path) -> None:
    done = probe("validate", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{file}: good: 2 checks, 1 provider, 1 target list",
        f"{file}:1:1: note: no region; "
        "for probe run, write region: here, or use --region or PROBE_REGION",
    ]
    file.write_text(f"region: lab\n{TEXT}")
    assert "note" not in probe("validate", str(file)).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_check_marks_ends_no_check(file: Path, encoding: str) -> None:
    """Nobody listens on port 1: the row fails, and a cross is what it would be marked with."""
    only = ("--check", "stores", "--target", "shop.example")
    text = file.read_text().replace("[127.0.0.1]", '["127.0.0.1:1"]')
    file.write_text(text)
    done = probe("check", "-c", str(file), *only, PYTHONIOENCODING=encoding)
    assert done.returncode == 1, done.stderr
    assert "? FAIL cdn-b 127.0.0.1:1 default  connect/refused" in done.stdout
    assert "UnicodeEncodeError" not in done.stderr
