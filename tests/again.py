"""Runs again, alone, the few slow or real tests that failed beside others.

Such tests start real processes and wait for them, three tests at a time on machines of two cores.
One that fails there and passes alone is printed as UNSTEADY: it shows a race, of the test or of
the product, and is to be looked at. More than ``MOST`` failures, or one of a test that is not
slow or real, are final. CPython's own runner does the same (``python -m test --rerun``).

As a plugin of pytest (``-p tests.again``) it notes which tests failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

MOST = 3
"""Failed tests that are run again at most; more than these are not bad luck."""

NOTED = Path("build/failed-tests.json")

MARKS = ("slow", "real")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Note the tests that failed."""
    stats = terminalreporter.stats
    failed = {one.nodeid for key in ("failed", "error") for one in stats.get(key, ())}
    NOTED.parent.mkdir(exist_ok=True)
    NOTED.write_text(json.dumps(sorted(failed)))


class _Marked:
    """Collects which of the tests are marked."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note them; nothing is run."""
        for item in items:
            if any(map(item.get_closest_marker, MARKS)):
                self.names.add(item.nodeid)


def final(failed: list[str], marked: set[str]) -> str:
    """Why these failures stand; empty when they are to be tried again."""
    if not failed:
        return "no test is noted as failed"
    if len(failed) > MOST:
        return f"{len(failed)} tests failed, and at most {MOST} are tried again"
    if steady := [name for name in failed if name not in marked]:
        return f"{steady[0]} is neither slow nor real"
    return ""


def main() -> int:
    """Try them again; 0 when all pass."""
    failed: list[str] = json.loads(NOTED.read_text())
    marked = _Marked()
    if 0 < len(failed) <= MOST:
        pytest.main(["--collect-only", "-qq", *failed], [marked])
    if reason := final(failed, marked.names):
        sys.stdout.write(f"not tried again: {reason}\n")
        return 1
    sys.stdout.write(f"== again, alone: {len(failed)}\n")
    sys.stdout.flush()
    status = int(pytest.main(["--timeout", "600", *failed]))
    if status == 0:
        for name in failed:
            sys.stdout.write(f"UNSTEADY, passes alone: {name}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
