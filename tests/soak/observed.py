"""``probe``, which writes down how many tasks trio runs whenever it is sent SIGUSR1."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path
from typing import SupportsIndex

import trio

from probe.cli.main import main


def _note(_signal: int, _frame: object) -> None:
    try:
        tasks = trio.lowlevel.current_statistics().tasks_living
    except RuntimeError:  # trio does not run yet, or no more
        return
    Path(os.environ["SOAK_TASKS"]).write_text(f"{tasks}\n")


def _sleep(seconds: SupportsIndex | float) -> None:
    """Wait. Below faketime 0.9.10 ``clock_nanosleep`` until a time fails with EINVAL."""
    select.select([], [], [], float(seconds))


if __name__ == "__main__":
    time.sleep = _sleep
    signal.signal(signal.SIGUSR1, _note)
    main(prog_name="probe")
