"""Processes under measurement, and what the kernel says that they used."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_SCHEDULED = 2  # CPUCLOCK_SCHED of linux/posix-timers.h: what the process ran, to the nanosecond
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 60.0
BYTECODE = {
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "probe-bench-bytecode"),
    "PYTHONDONTWRITEBYTECODE": "",
}
"""Environment of our processes: with bytecode, as an installed package has; a checkout may lack
it, and compiling anew at each start costs time and memory."""


class BenchmarkError(Exception):
    """A run that says nothing: a program is missing, or it did not do the work."""


def cores() -> tuple[int, int | None]:
    """The core of the prober, and that of everything else (None: there is only one)."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1] if len(usable) > 1 else None


class Process:
    """A running program, bound to one core, its output in a file.

    Args:
        command: what to run.
        log: where its output goes.
        core: the only core that it may use; None for any.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        core: int | None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._command = " ".join(command)
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        pinned += ["setpriv", "--pdeathsig", "TERM"]  # a killed benchmark leaves nothing behind
        with log.open("wb") as output:
            self.began = time.monotonic()
            self._child = subprocess.Popen(
                [*pinned, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
            )
        self.pid = self._child.pid

    def cpu(self) -> float:
        """Seconds of CPU so far, all threads, user and system.

        Linux keeps a clock of it in nanoseconds for every process, clock_getcpuclockid(3);
        proc(5) rounds to hundredths of a second, too coarse for an idle process.
        """
        return time.clock_gettime(~self.pid << 3 | _SCHEDULED)

    def resident(self) -> int:
        """Bytes of memory that are in RAM now (proc(5), statm)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE

    def until(
        self, holds: Callable[[], bool], *, within: float = PATIENCE, every: float = 0.01
    ) -> float:
        """Wait until something holds, asking every so many seconds; seconds since the start.

        Raises:
            BenchmarkError: it ended, or never held; with the end of what it said.
        """
        deadline = time.monotonic() + within
        while not holds():
            if self._child.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-1000:]
                raise BenchmarkError(f"{self._command}: not in time, or ended: {said}")
            time.sleep(every)
        return time.monotonic() - self.began

    def stop(self) -> None:
        """End it, by force when it does not."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


@contextmanager
def running(process: Process) -> Iterator[Process]:
    """The process for the length of a block."""
    try:
        yield process
    finally:
        process.stop()


def answers(url: str) -> bool:
    """Whether a URL answers with success, whatever certificate it shows."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=5, context=trusting) as response:  # noqa: S310 - http, to a program of the benchmark
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False
