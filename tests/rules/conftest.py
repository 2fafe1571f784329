"""The programs that judge the rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.support.programs import program, run

Run = Callable[..., str]


@pytest.fixture(scope="session")
def promtool() -> Run:
    """Runs promtool and gives what it said; anything but success fails the test."""
    return partial(run, program("promtool"))


@pytest.fixture(scope="session")
def amtool() -> Run:
    """Runs amtool likewise."""
    return partial(run, program("amtool"))
