"""Has work done by a process of its own, so that it never holds up the event loop.

Python code in a thread holds the interpreter's lock and makes every probe late, and whatever is
imported for a moment's work stays. A child (`probe.net.child`) has a session and an environment of
its own, no descriptors of ours, and bounds on CPU, memory and time, at which it is killed.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO, TypeVar, cast

import trio

from probe.model.failure import Reason
from probe.net.child import DONE, MEMORY, SIZE, Unanswered, made

T = TypeVar("T")

NICE = 10
"""How far a child gives way to probes, which go first: nice(2)."""

MOST_CPU, LONGEST = 2.0, 10.0
"""Seconds of CPU, and by the clock, for one piece of work of a child that is kept."""

_MOST = 2
"""Children that are kept, of some 20 MiB each, once it was needed. They end with their input."""

_INHERITED = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
"""What it takes to find this program again. The environment may hold secrets."""


class Child:
    """One process, which answers one question after the other. Its methods block."""

    def __init__(
        self, module: str = "probe.net.child", cpu: float = MOST_CPU, *, nice: int = NICE
    ) -> None:
        """Start one whose module has an ``answer``, which takes at most so many seconds of CPU."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, arguments as a list
                (sys.executable, "-P", "-m", "probe.net.child", module, str(cpu), str(nice)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise Unanswered(f"did not start: {error.strerror}") from error
        pipes = self._process.stdin, self._process.stdout, self._process.stderr
        self._in, self._out, self._err = cast("tuple[IO[bytes], ...]", pipes)
        self._cpu, self._talks = cpu, threading.RLock()

    def ask(self, data: bytes, seconds: float) -> bytes:
        """Wait for an answer, at most so long by the clock, with the start. Raises Unanswered."""
        begun = time.monotonic()
        timer = threading.Timer(seconds, self._kill)
        timer.daemon = True
        try:  # Ctrl-C may raise while it starts: the process must not wait for it at its end
            timer.start()
            with self._talks:
                self._in.write(len(data).to_bytes(SIZE, "big") + data)
                self._in.flush()
                head = self._out.read(1 + SIZE)
                said = self._out.read(size := int.from_bytes(head[1:], "big"))
        except OSError:
            head = said = b""
        finally:
            timer.cancel()
            if timer.is_alive():
                timer.join()
        # Also when its answer came first: it is dead by now, or about to be.
        if time.monotonic() - begun >= seconds:
            raise Unanswered(f"took over {seconds:g} s", costly=True)
        if len(head) <= SIZE or len(said) < size:
            raise self._why()
        if head[:1] == DONE:
            return said
        reason = Reason.LOCAL_RESOURCE if head[:1] == MEMORY else Reason.DEFECT
        raise Unanswered(said.decode("utf-8", "replace"), reason=reason)

    def end(self) -> None:
        """Kill it, also while another thread waits for its answer, and wait until it is gone."""
        self._kill()
        with self._talks:
            self._process.wait()
            for pipe in (self._in, self._out, self._err):
                with suppress(BrokenPipeError):  # what it has not read
                    pipe.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _why(self) -> Unanswered:
        self._kill()
        code = self._process.wait()
        if code == -signal.SIGPROF:
            return Unanswered(f"took over {self._cpu:g} s of CPU", costly=True)
        if code < 0:
            return Unanswered(f"was killed by signal {-code}")
        os.set_blocking(self._err.fileno(), False)
        said = (self._err.read() or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
        return Unanswered(f"ended with {': '.join([str(code), *said])}")


def ask_once(module: str, data: bytes, seconds: float) -> bytes:
    """Do as `once` where no event loop runs. Blocks.

    Without a loop, because a handler of SIGTERM may raise SystemExit here, which none survives.
    Such a signal waits while the child is being started: else it would be left behind. No probe
    runs yet, so it gives way to nobody: on a busy host the start of an agent would take too long.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        child = Child(module, seconds, nice=0)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return child.ask(data, seconds)
        finally:
            child.end()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def once(module: str, data: bytes, seconds: float) -> bytes:
    """Ask a child that is there for one answer; cancelled, it ends at once. Raises Unanswered."""
    child = await trio.to_thread.run_sync(Child, module, seconds)
    try:
        return await trio.to_thread.run_sync(child.ask, data, seconds, abandon_on_cancel=True)
    finally:
        await _ended(child)


_idle: list[Child] = []
_running = trio.CapacityLimiter(_MOST)


async def kept(work: Callable[[], T], *kinds: type) -> T:
    """Have a function called by a child that is started for the first and kept for the next.

    Cancelled, it returns at once. The child goes on until its answer, within its bounds: where
    starting it takes longer than those who ask may wait, a later one still finds it running.

    Args:
        work: picklable, and touches nothing but what it was given.
        kinds: the dataclasses and enumerations in what it returns, beside plain values.

    Raises:
        Unanswered: it took too long, raised, or the child died. The next one gets a new child.
    """
    asked = _Asked(pickle.dumps(work), kinds)
    await _running.acquire_on_behalf_of(asked)
    trio.lowlevel.spawn_system_task(asked.run)
    await asked.answered.wait()
    if asked.error is not None:
        raise asked.error
    return cast("T", asked.found)


class _Asked:
    """A question to a child, which is answered whether or not somebody still waits."""

    def __init__(self, data: bytes, kinds: tuple[type, ...]) -> None:
        self._data, self._kinds = data, kinds
        self.answered = trio.Event()
        self.found: object = None
        self.error: Exception | None = None

    async def run(self) -> None:
        try:
            await self._ask(_idle.pop() if _idle else await trio.to_thread.run_sync(Child))
        except Exception as error:
            self.error = error
        finally:
            _running.release_on_behalf_of(self)
            self.answered.set()

    async def _ask(self, child: Child) -> None:
        ask = partial(child.ask, self._data, LONGEST)
        try:
            said = await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
            self.found = made(said, *self._kinds)
        except BaseException:
            await _ended(child)
            raise
        _idle.append(child)


async def _ended(child: Child) -> None:
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(child.end)
