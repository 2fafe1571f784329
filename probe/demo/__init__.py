"""Both incidents replayed by real agents against the lab.

Nothing is imported here before it is needed: the agents of a demo pass through this package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from probe.demo.errors import DemoError

__all__ = ["DemoError", "run_demo"]


def run_demo(
    *,
    seconds: float | None,
    report: Path | None,
    stdout: TextIO,
    with_prometheus: bool = False,
) -> bool:
    """Replay both incidents; whether both were found and named rightly. False alarms are shown.

    Args:
        seconds: ends after so long; None stays until Ctrl-C on a terminal, else two minutes.
        report: where the JSON report is written, whatever the end.
        stdout: shown on; live when it is a terminal.
        with_prometheus: a real Prometheus and Alertmanager say what would page.

    Raises:
        DemoError: the lab or an agent did not start, or died.
        KeyboardInterrupt: a signal ended it before both were found; everything is cleaned up.
    """
    from probe.demo.run import play  # noqa: PLC0415 - see the top of this file

    return play(seconds=seconds, report=report, stdout=stdout, with_prometheus=with_prometheus)
