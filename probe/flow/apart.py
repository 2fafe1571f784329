"""Looks at long answers in a process of its own, so that they never hold up the event loop.

A megabyte of JSON is read in 30 to 110 ms, in one call that holds the interpreter's lock, and a
costly JMESPath expression looks at it for two seconds: in a thread both would make every probe
late. A process is started for the first answer that needs one, and kept for the next.
"""

from __future__ import annotations

import atexit
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import IO, TypeVar

import trio

from probe.flow.worker import MOST_CPU, SIZE
from probe.model.failure import Failure, Phase, Reason

T = TypeVar("T")

AT_ONCE = 8 * 1024
"""Bytes that are looked at on the loop. The worst JSON of this length and the worst expression
take 20 ms together; a process costs half a millisecond each time."""

_MOST = 2
"""Processes. Each takes some 20 MiB, once it was needed."""

_LONGEST = 10.0
"""Seconds for one answer by the clock, whatever else the machine does."""

_START = 10.0
"""Seconds in which a process must have started."""

_PIECE = 64 * 1024
_INHERITED = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
"""What it takes to find this program again. The environment may hold secrets."""

_idle: list[_Worker] = []
_running = trio.CapacityLimiter(_MOST)


async def run_apart(work: Callable[[], T], *, size: int, deadline: float = math.inf) -> T | Failure:
    """Do the work, elsewhere if it may take long; return a failure of ours when it takes too long.

    What takes too long is our configuration's fault, an expression for instance, and never the
    target's.

    Args:
        work: picklable, and touches nothing but what it was given.
        size: bytes that it looks at in a costly way.
        deadline: trio time.
    """
    if size <= AT_ONCE:
        return work()
    with trio.move_on_at(deadline):
        async with _running:
            return await _by_worker(pickle.dumps(work), size)
    return _ours(f"no time left to look at {size} bytes")


async def _by_worker(data: bytes, size: int) -> T | Failure:
    worker = None
    try:
        worker = _idle.pop() if _idle else await _Worker.started()
        with trio.move_on_after(_LONGEST):
            found: T | Failure = pickle.loads(await worker.answer(data))  # noqa: S301 - our own child wrote it
            _idle.append(worker)
            worker = None
            return found
    except (OSError, EOFError):
        ended = 0 if worker is None else await _ended(worker)
        worker = None
        if ended != -signal.SIGPROF:
            return _ours("the process that looks at long answers ended, or did not start")
    finally:
        if worker is not None:
            await _ended(worker)
    return _ours(f"over {MOST_CPU:g} s of work on {size} bytes; write simpler expressions")


async def _ended(worker: _Worker) -> int:
    code = 0
    with trio.CancelScope(shield=True):
        code = await trio.to_thread.run_sync(worker.end)
    return code  # noqa: RET504 - a scope may end early, for all that mypy knows


def _ours(detail: str) -> Failure:
    return Failure(Phase.EXPECT, Reason.LOCAL_RESOURCE, detail)


class _Worker:
    """One process, which does one piece of work at a time."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._in, self._out = _pipe(child.stdin), _pipe(child.stdout)

    @classmethod
    async def started(cls) -> _Worker:
        """Start a process. Raises OSError, or EOFError when it ended or was too slow."""
        worker = cls(await trio.to_thread.run_sync(_process))
        try:
            with trio.move_on_after(_START):
                await worker._read(SIZE)
                return worker
        except BaseException:
            worker.end()
            raise
        worker.end()
        raise EOFError

    async def answer(self, data: bytes) -> bytes:
        """Hand over work and wait for what comes of it. Raises OSError and EOFError."""
        left = memoryview(len(data).to_bytes(SIZE, "big") + data)
        while left:
            await trio.lowlevel.wait_writable(self._in)
            left = left[self._in.write(left[:_PIECE]) or 0 :]
        return await self._read(int.from_bytes(await self._read(SIZE), "big"))

    async def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            await trio.lowlevel.wait_readable(self._out)
            piece = self._out.read(min(_PIECE, size - len(data)))
            if piece == b"":
                raise EOFError
            data += piece or b""
        return bytes(data)

    def end(self) -> int:
        """Kill it and wait until it is gone, some milliseconds; gives its exit code."""
        self._child.kill()
        self._in.close()
        self._out.close()
        return self._child.wait()


def _process() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "probe.flow.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - asked for
    os.set_blocking(pipe.fileno(), False)
    return pipe


@atexit.register
def _end() -> None:
    while _idle:
        _idle.pop().end()
