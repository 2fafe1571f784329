"""What keeps the agent's memory and environment from the programs that its checks run.

The agent itself is not *dumpable*: no core is written, and nobody without ``CAP_SYS_PTRACE`` reads
its ``/proc/PID/environ`` and memory (prctl(2), ptrace(2)). A program starts from a thread of its
own, because what the kernel lets a program do it inherits from the thread that starts it: no new
privileges, no capabilities, and a Landlock domain of its own, outside of which it traces nobody, so
that programs do not read each other either. No code runs between fork and exec.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SET_DUMPABLE, _CAPBSET_DROP, _NO_NEW_PRIVS = 4, 24, 38
_AMBIENT, _AMBIENT_CLEAR = 47, 4
_CAPABILITY_VERSION = 0x20080522  # capset(2), version 3: two words of each set
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # landlock(7), alike on all machines
_MAKE_BLOCK, _REFER, _PATH_BENEATH = 1 << 11, 1 << 13, 1


class NotConfined(OSError):
    """The kernel does not let a thread give up what it may do: no program is started then."""


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def keep_to_itself() -> None:
    """Make this process one that others cannot read, and that leaves no core behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc().prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def in_confined_thread(start: Callable[[], T]) -> T:
    """Call a function in a thread that may do nothing but what every program of our user may.

    Raises:
        NotConfined: the thread could not be confined.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            _confine_thread()
            done.append(start())
        except BaseException as error:  # raised again below, in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=work, name="start of a program")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _confine_thread() -> None:
    libc = _libc()
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise NotConfined(ctypes.get_errno(), "no_new_privs")
    libc.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    capability = 0
    while libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) == 0:  # needs CAP_SETPCAP, where any do
        capability += 1
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    libc.capset(header, bytes(24))
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held) != 0 or any(held.raw):
        raise NotConfined(ctypes.get_errno(), "capabilities")
    _own_domain(libc)


def _own_domain(libc: ctypes.CDLL) -> None:
    """Enter a Landlock domain, where the kernel has them: since Linux 5.19, unless switched off.

    A domain must take something away: this one forbids block devices, which no program of ours may
    make anyway, and allows files to move between folders, which it would forbid unasked.
    """
    rights = struct.pack("=Q", _MAKE_BLOCK | _REFER)
    ruleset = libc.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if ruleset < 0:
        return
    root = os.open("/", os.O_PATH)
    rule = struct.pack("=Qi", _REFER, root)
    if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) == 0:
        libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(root)
    os.close(ruleset)
