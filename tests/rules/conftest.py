"""Where the rules are, and the programs that judge them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Run = Callable[..., str]


def program(name: str, package: str) -> Run:
    """Runs a program and returns what it said; anything but success fails the test."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: apt-get install {package}")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [found, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def promtool() -> Run:
    return program("promtool", "prometheus")


@pytest.fixture(scope="session")
def amtool() -> Run:
    return program("amtool", "prometheus-alertmanager")
