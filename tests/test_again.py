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
        ({}, "no test is noted"),
        (dict.fromkeys(("a", "b", "c", "d"), True), "at most 3"),
        ({"t.py::serves": True, "t.py::pure": False}, "t.py::pure uses no socket"),
    ],
)
def test_these_failures_stand(failed: dict[str, bool], why: str) -> None:
    assert why in again.final(failed)


def test_three_failures_of_real_io_are_tried_again() -> None:
    assert again.final(dict.fromkeys(("a", "b", "c"), True)) == ""


TESTS = """
import pathlib
import socket
import subprocess
import sys

import pytest


def once(name):
    seen = pathlib.Path(__file__).with_name(name)
    if not seen.exists():
        seen.touch()
        raise AssertionError


@pytest.fixture
def address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.mark.slow
def test_marked():
    once("marked")


def test_serves():
    with socket.create_server(("127.0.0.1", 0)):
        once("serves")


def test_asks(address):
    with socket.create_connection(address):
        pass
    once("asks")


def test_starts():
    subprocess.run([sys.executable, "-c", ""], check=True)
    once("starts")


def test_fails_ever():
    with socket.create_server(("127.0.0.1", 0)):
        raise AssertionError


def test_pure():
    once("pure")


def test_leaves_a_socket():
    server = socket.create_server(("127.0.0.1", 0))
    once("leaves")
    server.close()


def test_stands_beside_it():
    pass
"""


@pytest.mark.parametrize(
    ("names", "status", "said"),
    [
        (
            ["marked", "fails_ever"],
            1,
            ["UNSTEADY, passes alone: test_it.py::test_marked", "1 failed"],
        ),
        (["serves", "pure"], 1, ["not tried again: test_it.py::test_pure uses no socket"]),
    ],
)
def test_a_second_failure_and_one_of_pure_code_are_final(
    tmp_path: Path, names: list[str], status: int, said: list[str]
) -> None:
    done = tried(tmp_path, *(f"test_it.py::test_{name}" for name in names))
    assert done.returncode == status, done.stdout
    for one in said:
        assert one in done.stdout


def test_what_talks_to_another_gets_a_second_try_alone(tmp_path: Path) -> None:
    names = [f"test_it.py::test_{name}" for name in ("serves", "asks", "starts")]
    done = tried(tmp_path, "-n", "2", *names)
    assert done.returncode == 0, done.stdout
    assert "3 failed" in done.stdout
    for name in names:
        assert f"UNSTEADY, passes alone: {name}" in done.stdout


def test_what_a_failed_test_leaves_open_fails_no_other(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_protocol\n")
    names = ("leaves_a_socket", "stands_beside_it")
    done = tried(tmp_path, "-W", "error", *(f"test_it.py::test_{name}" for name in names))
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert done.returncode == 0


def tried(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What ``tests.again`` makes of the tests above."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: waits\n    real: talks\n")
    (folder / "test_it.py").write_text(TESTS)
    return subprocess.run(
        [sys.executable, "-m", "tests.again", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
