"""A configuration read in a process of its own is the same configuration, or the same problems."""

import os
from pathlib import Path

import pytest

from probe.config.apart import load_apart
from probe.config.loading import load
from probe.documents.problem import DocumentError
from probe.net.child import Unanswered

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("name", ["probe.yaml", "examples/vtex-cli.yaml"])
def test_the_same_spec_comes_back(name: str) -> None:
    path = CONFIG / name
    environ = dict(os.environ, PROBE_REGION="sa-east")
    assert load_apart(path, environ=environ) == load(path, environ=environ)


def test_the_same_problems_come_back(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text("checks: [{kind: tls}]\nfoo: 1\n")
    with pytest.raises(DocumentError) as here:
        load(path, environ={})
    with pytest.raises(DocumentError) as there:
        load_apart(path, environ=dict(os.environ))
    assert there.value.problems == here.value.problems


def test_a_child_that_cannot_start_is_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(Unanswered, match="did not start: No such file"):
        load_apart(tmp_path / "probe.yaml", environ={})


def test_a_child_that_dies_is_an_error_and_not_a_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(Unanswered, match="ended with 1"):
        load_apart(tmp_path / "probe.yaml", environ={})
