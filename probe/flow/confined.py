"""What keeps the agent's memory and environment from the programs that its checks run.

The agent itself is not *dumpable*: no core is written, and nobody without ``CAP_SYS_PTRACE`` reads
its ``/proc/PID/environ`` and memory (prctl(2), ptrace(2)). A program starts from a thread of its
own, because what the kernel lets a program do it inherits from the thread that starts it: no new
privileges, no capabilities, a Landlock domain of its own, outside of which it traces and signals
nobody, so that programs do not read each other either, and a filter of system calls, so that it
sets limits and priorities of itself alone. No code runs between fork and exec.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CAPBSET_DROP, _NO_NEW_PRIVS = 24, 38
_AMBIENT, _AMBIENT_CLEAR = 47, 4
_CAPABILITY_VERSION = 0x20080522  # capset(2), version 3: two words of each set
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # landlock(7), alike on all machines
_MAKE_BLOCK, _REFER, _PATH_BENEATH, _VERSION, _SIGNALS = 1 << 11, 1 << 13, 1, 1, 1 << 1

_SET_SECCOMP, _FILTER = 22, 2
_SETTERS = {
    0xC000003E: (302, 203, 144, 142, 314, 141, 251),  # AUDIT_ARCH_X86_64 …
    0x40000003: (340, 241, 156, 154, 351, 97, 289),  # … and its programs of 32 bits
    0xC00000B7: (261, 122, 119, 118, 274, 140, 30),  # AUDIT_ARCH_AARCH64
}
"""prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr, setpriority and
ioprio_set: their numbers by architecture."""


class NotConfined(OSError):
    """The kernel does not let a thread give up what it may do: no program is started then."""


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


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
    rules = _filter()
    code = ctypes.create_string_buffer(rules)
    libc.prctl(_SET_SECCOMP, _FILTER, struct.pack("@HP", len(rules) // 8, ctypes.addressof(code)))


@functools.cache
def _filter() -> bytes:
    """Write a filter (seccomp(2)) that refuses with EPERM to set what belongs to other processes.

    A program of our user could otherwise take the agent's descriptors (``RLIMIT_NOFILE``) or its
    share of the processor away for good. Where the kernel has no filters nothing is refused.
    """
    load, equal, bits, end = 0x20, 0x15, 0x45, 0x06  # BPF_LD, BPF_JEQ, BPF_JSET, BPF_RET
    allow, refuse = (end, 0, 0, 0x7FFF0000), (end, 0, 0, 0x00050001)
    number, arch, first, second, third = 0, 4, 16, 24, 32  # offsets in struct seccomp_data
    itself = [(load, 0, 0, first), (equal, 0, 1, 0), allow, refuse]
    reads = [
        (load, 0, 0, third),
        (equal, 0, 3, 0),
        (load, 0, 0, third + 4),
        (equal, 0, 1, 0),
        allow,
    ]
    ours = [(load, 0, 0, second), (equal, 1, 0, 0), refuse]
    group = [(load, 0, 0, first), (equal, 0, 1, 2), refuse]  # PRIO_USER
    users = [(load, 0, 0, first), (equal, 0, 1, 3), refuse]  # IOPRIO_WHO_USER
    what = [[*reads, *itself], *[itself] * 4, [*group, *ours, allow], [*users, *ours, allow]]
    lines = []
    for machine, numbers in _SETTERS.items():
        calls = []
        for call, then in zip(numbers, what, strict=True):
            calls += [(load, 0, 0, number), (equal, 0, len(then), call), *then]
        lines += [(load, 0, 0, arch), (equal, 0, len(calls) + 4, machine), (load, 0, 0, number)]
        lines += [(bits, 0, 1, 0x40000000), refuse, *calls, allow]  # x32 has numbers of its own
    return b"".join(struct.pack("=HBBI", *line) for line in (*lines, allow))


def _own_domain(libc: ctypes.CDLL) -> None:
    """Enter a Landlock domain, where the kernel has them: since Linux 5.19, unless switched off.

    Since Linux 6.12 it keeps signals inside. A domain must take something away: this one forbids
    block devices, which no program of ours may make anyway, and allows files to move between
    folders, which it would forbid unasked.
    """
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    rights = struct.pack("=QQQ", _MAKE_BLOCK | _REFER, 0, _SIGNALS)[: 24 if version > 5 else 8]
    ruleset = libc.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if ruleset < 0:
        return
    root = os.open("/", os.O_PATH)
    rule = struct.pack("=Qi", _REFER, root)
    if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) == 0:
        libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(root)
    os.close(ruleset)
