"""The process that the agent is: signals, service manager, garbage collector, supervised loops.

A signal whose default action is to kill must not do so before the agent follows signals, or after
it has stopped following them. It is blocked then, and delivered when the receiver is open.

The service manager is told how it goes in systemd's protocol (sd_notify(3)): a message is a
datagram of ``KEY=value`` lines to the socket that ``NOTIFY_SOCKET`` names. Nobody answers, and no
fault of the manager may end the agent: what cannot be told is logged once.

Python frees nearly everything the moment it is let go of. Its collector is for reference cycles,
which a probe leaves behind only where something failed. A full collection walks every object
that there is: measured with 20,000 edges, 0.4 s in which no handshake is served and every timing
is wrong. So what lives long is set apart (``gc.freeze``) as soon as there is much of it, and is
walked by no automatic collection. Young objects are collected in larger groups.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import trio

from probe.model.failure import trace

FOLLOWED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HELD = {signal.SIGTERM, signal.SIGHUP}  # trio itself looks after SIGINT


class AgentError(Exception):
    """The agent cannot start; the message says why and what to do."""


def hold_signals() -> None:
    """Block the signals until `signals_received` takes them, while trio starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


@contextmanager
def signals_received() -> Iterator[AsyncIterator[int]]:
    """Yield the signals in the order in which they come; those that were held come first."""
    with trio.open_signal_receiver(*FOLLOWED) as signals:
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
        try:
            yield signals
        finally:
            # What comes now, or was not looked at, would be raised again with its default action.
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


_PATH, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Notifier:
    """Tells the service manager how it goes; silent where no manager listens.

    Args:
        environ: as the manager gave it.
        on_fault: told why the manager cannot be reached, the first time.
        pid: ours; a watchdog meant for another process is left alone.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        on_fault: Callable[[str], None] = lambda _: None,
        *,
        pid: int | None = None,
    ) -> None:
        self._address = _address(environ.get(_PATH, ""))
        self._on_fault = on_fault
        self._faulty = False
        self.watchdog = _watchdog(environ, os.getpid() if pid is None else pid)

    def ready(self, status: str) -> None:
        """Tell that the start or the reload is over."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Tell that a reload began. ``ready`` ends it. systemd 253 and later compare the time."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def status(self, status: str) -> None:
        """Tell what ``systemctl status`` shows beside the state."""
        self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """Tell that the end began."""
        self._tell("STOPPING=1", "STATUS=ending")

    async def keep_watchdog(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Give a sign of life at a third of the time asked for.

        A task like every other: when the loop does not turn, it does not run either, and the
        manager starts the agent anew.
        """
        task_status.started()
        if self.watchdog is None:
            return
        while True:
            self._tell("WATCHDOG=1")
            await trio.sleep(self.watchdog / 3)

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)  # a manager that does not read must not stop the loop
                sock.sendto(message, self._address)
        except OSError as error:
            if not self._faulty:
                self._faulty = True
                self._on_fault(error.strerror or type(error).__name__)
        else:
            self._faulty = False


def _address(path: str) -> str | None:
    """Understand a path, or ``@`` and a name in Linux's abstract namespace. None for others."""
    if path.startswith("@"):
        return "\0" + path[1:]
    return path if path.startswith("/") else None


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Read the seconds within which a sign of life is expected; None when none is."""
    written, owner = environ.get(_WATCHDOG, ""), environ.get(_WATCHDOG_PID, "")
    if not (written.isascii() and written.isdecimal()) or int(written[:18]) == 0:
        return None
    if owner and owner != str(pid):
        return None
    return int(written[:18]) / 1_000_000


_YOUNG = 5_000
"""New objects before the young ones are collected; Python's default is 700. At 333 probes a second
that took one to two hundredths of the agent's CPU, for cycles that are not there."""

_MIDDLE_AFTER, _FULL_AFTER = 2, 1
"""Collections of the generation below before one of the middle, of some 15,000 objects, and before
a full one. That walks what was not set apart: with these 45,000 objects, in five milliseconds."""

_MUCH = 15_000
"""Objects that outlived a full collection, from which on they are set apart. An agent whose targets
stay has fewer: its runs come and go, and are not set apart while they are under way."""

_PERIOD = 86_400.0
"""Seconds between walks over everything, for cycles among what was set apart, such as the contexts
of a configuration that was replaced. It takes 20 µs an edge, and nothing else runs meanwhile."""


_SWITCH = 0.001
"""Seconds after which a thread, which judges a large chain say, leaves the interpreter to the loop:
a fifth of Python's own, as the loop must ask for it again after each system call."""


async def keep_still(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Look after the collector until cancelled."""
    gc.set_threshold(_YOUNG, _MIDDLE_AFTER, _FULL_AFTER)
    sys.setswitchinterval(_SWITCH)
    settle()
    gc.callbacks.append(set_apart)
    try:
        task_status.started()
        while True:
            await trio.sleep(_PERIOD)
            settle()
    finally:
        gc.callbacks.remove(set_apart)


def set_apart(phase: str, info: Mapping[str, int]) -> None:
    """Take out of the collector's sight what outlived a full collection, if that is much."""
    if phase == "stop" and info["generation"] == 2 and len(gc.get_objects(generation=2)) > _MUCH:
        gc.freeze()


def settle() -> None:
    """Collect everything once, and set apart what is left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


LOOPS = (
    "causes",
    "certificates",
    "discovery",
    "filing",
    "first look",
    "flow causes",
    "heap",
    "lag",
    "references",
    "regions",
    "reload",
    "report",
    "revocation lists",
    "sharing",
    "sources",
    "state",
    "sweep",
    "tick",
    "watchdog",
    "web config",
)
"""What runs beside the probes, by the name that log and metrics use."""

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds of pause after a crash; each pause is twice the one before …"""

STEADY = 300.0
"""… until the loop has run for this long."""

Crashed = Callable[[str, str], None]
"""Told the loop's name, and what was raised where."""


async def supervised(
    name: str,
    loop: Callable[..., Awaitable[None]],
    crashed: Crashed,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a loop until it is cancelled or ends by itself; begin anew when it crashes.

    Args:
        name: what the loop is called in log and metrics; one of ``LOOPS``.
        loop: says through ``task_status`` that it is ready.
        crashed: told each crash.
        task_status: started with the loop, or with its first crash: a start waits for nobody
            who may never be ready.

    Raises:
        ValueError: for another name: its first crash would be no increase of a counter.
    """
    if name not in LOOPS:
        raise ValueError(f"add {name!r} to LOOPS")
    ready, pause = _Once(task_status), SHORTEST
    while True:
        began = trio.current_time()
        try:
            await loop(task_status=ready)
            ready.started()
            return
        except* Exception as error:
            crashed(name, trace(error))
        ready.started()
        if trio.current_time() - began >= STEADY:
            pause = SHORTEST
        await trio.sleep(pause)
        pause = min(2 * pause, LONGEST)


class _Once:
    """A task status for a loop that may begin several times."""

    def __init__(self, status: trio.TaskStatus[None]) -> None:
        self._status = status
        self._told = False

    def started(self, value: None = None) -> None:
        """Pass on the first call; ignore the rest."""
        if not self._told:
            self._told = True
            self._status.started(value)
