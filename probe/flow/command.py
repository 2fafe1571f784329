"""Runs a real program once, bounded in time, output and what it leaves behind.

An argument list and no shell; an environment of its own; a working folder that is thrown away.
The program gets a session of its own, so that at the deadline it is killed together with its
children. A child that leaves the session on purpose (a daemon) is not followed: that needs a
control group, which is the service manager's to give.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import trio

from probe.flow.confined import NotConfined, in_confined_thread
from probe.http import answers
from probe.http.messages import NotJson, parse_json
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import Command
from probe.net.errors import name_of, reason_of

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_WORDS = 0.25
"""Seconds to read what is still in the pipes once the program and its children are gone."""
_DEATH = 1.0
"""Seconds that a killed program may take to be gone; one stuck in the kernel is left behind."""
_REMOVALS = 3


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program did.

    Attributes:
        code: exit code; negative for the signal that ended it.
        stdout: its first bytes, up to the cap.
        stderr: likewise.
        cut: it wrote more than the cap.
    """

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class NotDone:
    """A program that did not come to its own end; what it wrote until then."""

    failure: Failure
    seconds: float
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run.

    Attributes:
        arguments: program and arguments; the program is looked up in the environment's PATH.
        environment: the whole of it, but for PATH, HOME and TMPDIR when absent.
        stdin: what it may read; None for nothing.
        cap: bytes kept of stdout and stderr, each.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: bytes | None
    cap: int


async def run(program: Program, deadline: float) -> Ran | NotDone:
    """Run a program to its end or to the trio time. Never raises for what the program does."""
    start = trio.current_time()
    folder = await trio.to_thread.run_sync(_make_folder)
    if isinstance(folder, Failure):
        return NotDone(folder, trio.current_time() - start)
    try:
        defaults = {"PATH": _PATH, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
        environment = {**defaults, **program.environment}
        begin = partial(_begin, program, folder, environment)
        try:
            process = await trio.to_thread.run_sync(in_confined_thread, begin)
        except OSError as error:
            return NotDone(_not_started(program.arguments[0], error), trio.current_time() - start)
        return await _Attended(process, program.cap).attend(program.stdin, start, deadline)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_clear, folder)


def _begin(
    program: Program, folder: str, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - what the configuration says, and no shell
        program.arguments,
        stdin=subprocess.DEVNULL if program.stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


class _Attended:
    """A running program with its pipes read, so that it never blocks on them."""

    def __init__(self, process: subprocess.Popen[bytes], cap: int) -> None:
        self._process = process
        self._stdin, self._stdout, self._stderr = map(
            _stream, (process.stdin, process.stdout, process.stderr)
        )
        self._cap = cap
        self._out = bytearray()
        self._err = bytearray()
        self._cut = False

    async def attend(self, stdin: bytes | None, start: float, deadline: float) -> Ran | NotDone:
        process = self._process
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drain, self._stdout, self._out)
                nursery.start_soon(self._drain, self._stderr, self._err)
                if stdin is not None:
                    nursery.start_soon(self._feed, stdin)
                with trio.CancelScope(deadline=deadline) as waiting:
                    await _ended(process)
                seconds = trio.current_time() - start
                _kill_group(process)
                nursery.cancel_scope.deadline = trio.current_time() + _LAST_WORDS
        finally:
            await self._bury()
        if waiting.cancelled_caught or process.returncode is None:
            detail = f"no end in {seconds:.1f} s; killed with its children"
            failure = Failure(Phase.WAIT, Reason.TIMEOUT, detail)
            return NotDone(failure, seconds, bytes(self._out), bytes(self._err))
        return Ran(process.returncode, bytes(self._out), bytes(self._err), seconds, self._cut)

    async def _bury(self) -> None:
        """Leave no process behind, whatever happened."""
        _kill_group(self._process)
        with trio.move_on_after(_DEATH, shield=True):
            await _ended(self._process)
        for pipe in (self._stdin, self._stdout, self._stderr):
            if pipe is not None:
                await trio.aclose_forcefully(pipe)

    async def _drain(self, pipe: trio.abc.ReceiveStream | None, into: bytearray) -> None:
        if pipe is None:
            return
        while data := await pipe.receive_some(65536):
            room = self._cap - len(into)
            into += data[: max(room, 0)]
            self._cut = self._cut or len(data) > room

    async def _feed(self, data: bytes) -> None:
        pipe = self._stdin
        if pipe is None:
            return
        try:
            await pipe.send_all(data)
            await pipe.aclose()
        except trio.BrokenResourceError:
            return  # it does not want to read: that is its right


def _stream(pipe: IO[bytes] | None) -> trio.lowlevel.FdStream | None:
    """Read or write a pipe on the loop; the descriptor is a new one, and the old one closed."""
    if pipe is None:
        return None
    with pipe:
        return trio.lowlevel.FdStream(os.dup(pipe.fileno()))


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has ended, and reap it."""
    if process.poll() is not None:
        return
    handle = os.pidfd_open(process.pid)  # since Linux 5.3; nobody but us reaps it
    try:
        while process.poll() is None:
            await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the program's session, as far as it has not left it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Gone already; or only members of another user are left, whom we may not touch.
        return


def _not_started(program: str, error: OSError) -> Failure:
    if isinstance(error, NotConfined):
        detail = f"{program}: programs cannot give up {error.strerror}: {name_of(error.errno)}"
        return Failure(Phase.CONNECT, Reason.LOCAL_RESOURCE, detail)
    local = reason_of(error.errno, at_once=True) is Reason.LOCAL_RESOURCE
    reason = Reason.LOCAL_RESOURCE if local else Reason.COMMAND_UNAVAILABLE
    return Failure(Phase.CONNECT, reason, f"{program}: {name_of(error.errno)}")


def _make_folder() -> str | Failure:
    try:
        return tempfile.mkdtemp(prefix="probe-")
    except OSError as error:
        detail = f"no working folder: {name_of(error.errno)}"
        return Failure(Phase.CONNECT, Reason.LOCAL_RESOURCE, detail)


def _clear(folder: str) -> None:
    """Remove the working folder with the program's rights: it may be a link elsewhere by now."""
    try:
        in_confined_thread(partial(_remove, folder))
    except NotConfined:  # then no program was started
        with suppress(OSError):
            Path(folder).rmdir()


def _remove(folder: str) -> None:
    """Remove the working folder, even what the program made unwritable. Never raises.

    Tried again a few times, because a daemon that left the session may still be writing there.
    What belongs to another user cannot be removed by anybody but that user, and stays.
    """
    for _ in range(_REMOVALS):
        pending = [folder]
        while pending:
            inner = pending.pop()
            pending += _empty(inner, folder)
            with suppress(OSError):
                Path(inner).rmdir()
        with suppress(OSError):
            Path(folder).rmdir()
        if not os.path.lexists(folder):
            return


def _empty(inner: str, top: str) -> list[str]:
    """Remove the files of a folder and bring its folders to the top, where they are left.

    No recursion, and no path longer than the first ones: a program can nest folders deeper than
    Python recurses and than a path may be long.
    """
    moved = []
    with suppress(OSError):
        Path(inner).chmod(0o700)
        with os.scandir(inner) as entries:
            for number, entry in enumerate(list(entries)):
                with suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        Path(entry.path).unlink()
                        continue
                    Path(entry.path).chmod(0o700)  # whoever moves a folder must own its ".."
                    to = f"{top}/{number}-{secrets.token_hex(8)}"
                    Path(entry.path).rename(to)
                    moved.append(to)
    return moved


def judge(spec: Command, contains: tuple[str, ...], ran: Ran) -> list[Failure]:
    """Return what is wrong with what a program did; ``contains`` is already filled in."""
    failures = []
    if ran.code not in spec.exit_codes:
        detail = f"exit code {ran.code}" if ran.code >= 0 else f"killed by {_signal(-ran.code)}"
        failures.append(Failure(Phase.EXPECT, Reason.EXIT_CODE, detail))
    failures += answers.texts(
        ran.stdout.decode("utf-8", "replace"),
        contains=contains,
        matches=spec.matches,
        reason=Reason.OUTPUT,
        where="stdout",
    )
    if spec.json:
        try:
            document = parse_json(ran.stdout)
        except NotJson as error:
            what = "stdout is longer than its cap" if ran.cut else f"stdout is {error}"
            failures.append(Failure(Phase.EXPECT, Reason.JSON, what))
        else:
            failures += answers.conditions(spec.json, document)
    return failures


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
