"""No test of the whole suite may leave a secret of the lab in what it logged or printed.

And none asserts a speed: hypothesis' own limit of 200 ms an example is off. Its examples are the
same in every run, so that a commit is judged by what it changes; PROBE_TEST_CHANCE=1 tries others.
A shell that runs the suite in the background makes it ignore Ctrl-C; programs that tests start
must not inherit that, as some tests send it to them.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

from probe.lab.known import shown_in

hypothesis.settings.register_profile(
    "any-speed", deadline=None, derandomize="PROBE_TEST_CHANCE" not in os.environ
)
hypothesis.settings.load_profile("any-speed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


ONE_AFTER_ANOTHER = {
    "tests/grafana/test_every_query.py": "three agents",  # each starts a lab, agents and engines
    "tests/incidents/test_replay.py": "three agents",
}
"""Files whose tests run in one process, each after the other, where others run side by side."""


@pytest.hookimpl(optionalhook=True)  # a single file runs without the plugin
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give whole groups of tests to one process.

    The plugin's own mark for that writes to a private field that pytest 9.2 no longer reads.
    """
    from xdist.scheduler.loadscope import LoadScopeScheduling  # noqa: PLC0415 - may be absent

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # the plugin has no types
        def _split_scope(self, nodeid: str) -> str:
            return ONE_AFTER_ANOTHER.get(nodeid.partition("::")[0], nodeid)

    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run side by side, begin with the slow ones: nobody waits for them at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a failed test leaves open is closed with it, and fails none that comes after."""
    failed = item.session.testsfailed
    done = yield
    if item.session.testsfailed != failed:
        for name in ("last_exc", "last_type", "last_value", "last_traceback"):
            vars(sys).pop(name, None)  # the test's frames, and what they hold
        told, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            gc.collect()
        finally:
            sys.unraisablehook = told
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output or log shows one."""
    report = yield
    return judged(report)


def judged(report: pytest.TestReport) -> pytest.TestReport:
    """The report of the last stage fails when any stage showed a secret."""
    found = sorted(title for title, text in report.sections if shown_in(text))
    if report.when == "teardown" and report.passed and found:
        report.outcome = "failed"
        report.longrepr = f"a secret of the lab stands in: {', '.join(found)}"
    return report
