"""The guard over the whole suite's output sees a secret when there is one."""

from __future__ import annotations

import pytest

from probe.lab.known import SECRETS, shown_in
from tests.conftest import judged


def test_every_secret_is_found() -> None:
    assert len(set(SECRETS)) == len(SECRETS) >= 8
    for secret in SECRETS:
        assert shown_in(f"Authorization: Bearer {secret}\n") == (secret,)
    assert not shown_in("Authorization: Bearer ***")


@pytest.mark.parametrize("stream", ["stdout", "stderr", "log"])
def test_a_test_that_shows_one_fails(stream: str) -> None:
    for text, outcome in ((f"token={SECRETS[-1]}", "failed"), ("token=***", "passed")):
        sections = [(f"Captured {stream} call", text)]
        report = pytest.TestReport(
            "x", ("x", 0, "x"), {}, "passed", None, "teardown", sections=sections
        )
        assert judged(report).outcome == outcome
