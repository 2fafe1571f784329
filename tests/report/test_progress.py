"""A pipeline's log shows that work goes on, and no more often than a person wants to read."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from probe.report.progress import RoundProgress, progress_on


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    out, now = StringIO(), [0.0]
    with progress_on(Console(file=out, width=80), clock=lambda: now[0]) as told:
        for second in range(25):
            now[0] = float(second)
            told(RoundProgress(second * 10, 300, 3, 2))
    assert out.getvalue().splitlines() == [
        "round 2: 100 of 300 probed, 3 not right",
        "round 2: 200 of 300 probed, 3 not right",
    ]


def test_on_a_terminal_there_is_a_bar() -> None:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=True)
    with progress_on(console) as told:
        told(RoundProgress(10, 300, 3))
    assert "10/300" in out.getvalue()
    assert "3 not right" in out.getvalue()
