"""Reads a target list without making a probe late.

A short list is read in a thread: that costs less than a process. A longer one is read in a process
of its own, and its targets are taken over in parts, with pauses. Measured with 50,000 targets:
reading takes seconds, and in a thread of the agent it holds the interpreter's lock for as long.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from probe.documents.files import UnreadableFile
from probe.documents.packed import unpacked
from probe.documents.problem import DocumentError, Problem
from probe.documents.targets import Listed, read_file, read_list
from probe.model.target import Target

T = TypeVar("T")

SHORT = 16 * 1024
"""Bytes up to which a list is read in a thread: some ten milliseconds."""

PATIENCE = 120.0
"""Seconds. The longest list that is accepted takes some ten."""

_ENVIRON = ("PATH", "LANG", "LC_", "LD_", "PYTHON")  # no secret is needed, so none is handed on


async def read_path(path: Path, most: int, size: int) -> Listed:
    """The targets of a file, at most so many.

    Args:
        path: JSON when it ends in ``.json``, else YAML.
        most: targets.
        size: bytes of the file when it was looked at.

    Raises:
        DocumentError: the file or its content as a whole cannot be used.
    """
    if size > SHORT:
        return await _apart((str(path), str(most)), b"", str(path))
    return await in_thread(lambda: read_file(path, most=most))


async def read_answer(data: bytes, shown: str, most: int) -> Listed:
    """The targets of a JSON list that somebody sent, as `read_path`."""
    if len(data) > SHORT:
        return await _apart(("", str(most), shown), data, shown)
    return await in_thread(lambda: read_list(data, "json", shown, most=most))


async def in_thread(read: Callable[[], T]) -> T:
    """Read in a thread, abandoned on cancellation: a file system may hang, the end may not."""
    return await trio.to_thread.run_sync(read, abandon_on_cancel=True)


async def _apart(arguments: tuple[str, ...], data: bytes, shown: str) -> Listed:
    """Have it read by a child; cancelled, it ends at once with the child."""
    command = [sys.executable, "-P", "-m", "probe.documents.packed", *arguments]
    environ = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRON)}
    try:
        with trio.fail_after(PATIENCE):
            done = await trio.run_process(
                command,
                stdin=data,
                env=environ,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                deliver_cancel=_kill,
            )
    except (OSError, trio.TooSlowError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it took over {PATIENCE:g} s"
        raise _unread(shown, f"the reader did not finish: {why}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise _unread(shown, f"the reader {_end(done)}{': ' if said else ''}{''.join(said)}")
    return await _taken(done.stdout)


async def _taken(data: bytes) -> Listed:
    head, parts = unpacked(data)
    if head.refused:
        raise (UnreadableFile if head.unreadable else DocumentError)(*head.problems)
    targets: list[Target] = []
    for part in parts:
        targets += part
        await trio.lowlevel.checkpoint()
    return Listed(tuple(targets), head.rejected, head.problems, (), head.over, head.digest)


def _unread(shown: str, why: str) -> UnreadableFile:
    """What may go better at the next look."""
    return UnreadableFile(Problem(shown, 1, 1, why))


def _end(done: subprocess.CompletedProcess[bytes]) -> str:
    code = done.returncode
    return f"was killed by signal {-code}" if code < 0 else f"ended with {code}"


async def _kill(child: trio.Process) -> None:
    child.kill()
