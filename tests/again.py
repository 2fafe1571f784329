"""Runs pytest, and runs again, each alone, the few tests of real I/O that failed beside others.

Such tests speak through sockets or start processes, three tests at a time on machines of two cores.
One that fails there and passes alone, in a process of its own, is printed as UNSTEADY: it shows a
race, of the test or of the product, and is to be looked at. A failure is final when there are more
than ``MOST``, or when a test neither used a socket, nor started a process, nor is marked: nothing
but the code decides such a test. CPython's own runner does the same (``python -m test --rerun``).

``python -m tests.again`` takes pytest's arguments. As a plugin of that pytest it notes which tests
failed, and how each is judged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

import pytest

MOST: Final = 3
"""Failed tests that are run again at most; more than these are not bad luck."""

NOTED: Final = "PROBE_TEST_NOTED"
"""The variable that names the file for notes; each call has its own."""

MARKS: Final = ("slow", "real")
OUTSIDE: Final = frozenset(
    ("socket.bind", "socket.connect", "socket.sendto", "subprocess.Popen", "os.fork", "os.exec")
)
"""Python's audit events of a test that does real I/O."""

_IO: Final = "real I/O"

_seen: set[str] = set()


def pytest_configure() -> None:
    """Listen for what the tests of this process do; Python cannot take such a hook back."""
    sys.addaudithook(_heard)


def _heard(event: str, _: tuple[object, ...]) -> None:
    if event in OUTSIDE:
        _seen.add(event)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Begin each test with nothing heard."""
    _seen.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the process that prints, with the report of each stage, whether it did real I/O."""
    report = yield
    if _seen or any(map(item.get_closest_marker, MARKS)):
        report.user_properties.append((_IO, True))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Note the tests that failed, and whether they did real I/O."""
    stats = terminalreporter.stats
    failed: dict[str, bool] = {}
    for one in [*stats.get("failed", ()), *stats.get("error", ())]:
        told = (_IO, True) in map(tuple, getattr(one, "user_properties", ()))
        failed[one.nodeid] = failed.get(one.nodeid, False) or told
    Path(os.environ[NOTED]).write_text(json.dumps(failed))


def final(failed: Mapping[str, bool]) -> str:
    """Why these failures stand; empty when they are to be tried again."""
    if not failed:
        return "no test is noted as failed"
    if len(failed) > MOST:
        return f"{len(failed)} tests failed, and at most {MOST} are tried again"
    for name, io in failed.items():
        if not io:
            return f"{name} uses no socket and no process"
    return ""


def main(arguments: list[str]) -> int:
    """Run the tests, and those that failed again; 0 when all pass."""
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "failed.json"
        status = _pytest("-p", "tests.again", *arguments, **{NOTED: str(noted)})
        if status != pytest.ExitCode.TESTS_FAILED:
            return status
        failed: dict[str, bool] = json.loads(noted.read_text())
    if reason := final(failed):
        _say(f"not tried again: {reason}")
        return status
    _say(f"== again, alone: {len(failed)}")
    for name in failed:
        if again := _pytest("--timeout", "600", name):
            return again
        _say(f"UNSTEADY, passes alone: {name}")
    return 0


def _pytest(*arguments: str, **environ: str) -> int:
    """Its status in a process of its own."""
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, check=False, env={**os.environ, **environ}).returncode


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
