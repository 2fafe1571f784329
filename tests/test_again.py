"""Which failures stand, and which tests are run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import again

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("failed", "why"),
    [
        ([], "no test is noted"),
        (["t.py::slow"] * 4, "at most 3"),
        (["t.py::slow", "t.py::pure"], "t.py::pure is neither slow nor real"),
    ],
)
def test_these_failures_stand(failed: list[str], why: str) -> None:
    assert why in again.final(failed, {"t.py::slow"})


TESTS = """
import pathlib
import pytest

@pytest.mark.slow
def test_fails_once():
    seen = pathlib.Path(__file__).with_name("seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError

@pytest.mark.slow
def test_fails_ever():
    raise AssertionError

def test_pure():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        (
            "fails_once",
            0,
            "UNSTEADY, passes alone: test_it.py::test_fails_once",
        ),
        ("fails_ever", 1, "== again, alone: 1"),
        ("pure", 1, "not tried again: test_it.py::test_pure is neither slow nor real"),
    ],
)
def test_a_slow_test_gets_a_second_try_alone(
    tmp_path: Path, name: str, status: int, said: str
) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: waits\n    real: talks\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    first = run("pytest", "-p", "tests.again", f"test_it.py::test_{name}")
    assert first.returncode == 1, first.stdout
    second = run("tests.again")
    assert (second.returncode, said in second.stdout) == (status, True), second.stdout
