"""The guard over the whole suite's output sees a secret when there is one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from probe.lab.known import SECRETS, shown_in

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def guard() -> Any:
    """The suite's own configuration, as a module of its own."""
    spec = importlib.util.spec_from_file_location("the_guard", CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_secret_is_found() -> None:
    assert len(set(SECRETS)) == len(SECRETS) >= 8
    for secret in SECRETS:
        assert shown_in(f"Authorization: Bearer {secret}\n") == (secret,)
    assert not shown_in("Authorization: Bearer ***")


@pytest.mark.parametrize("stream", ["stdout", "stderr", "log"])
def test_a_test_that_shows_one_fails(stream: str) -> None:
    judged = guard().judged
    for text, outcome in ((f"token={SECRETS[-1]}", "failed"), ("token=***", "passed")):
        sections = [(f"Captured {stream} call", text)]
        report = pytest.TestReport(
            "x", ("x", 0, "x"), {}, "passed", None, "teardown", sections=sections
        )
        assert judged(report).outcome == outcome
