"""What runs in a process of its own: a function from bytes to bytes, asked again and again.

``python -m probe.net.child MODULE CPU NICE`` answers with ``MODULE.answer``. It imports neither
trio nor OpenSSL itself, gives way to the agent, and ends when its input ends or an answer takes too
long.
"""

from __future__ import annotations

import copyreg
import ctypes
import json
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from enum import Enum
from importlib import import_module
from types import MappingProxyType
from typing import Any

from probe.model.failure import Reason, trace

SIZE = 4
"""Bytes that say how long the message after them is, the highest first."""

DONE, DEFECT, MEMORY = b"a", b"d", b"m"
"""Before these on the way back: it is an answer, a place in our code, or words on memory."""

_SET_DUMPABLE = 4
_MOST_MEMORY = 2 << 30
"""Bytes of address space. A body of a few MiB unfolds to some hundred, a long list to more."""


class Unanswered(Exception):
    """No answer; the message says what the child did, as in ``was killed by signal 9``.

    Attributes:
        costly: it took too long, by the clock or by CPU.
        reason: a lack of this host's, or a defect of ours.
    """

    def __init__(
        self, did: str, *, costly: bool = False, reason: Reason = Reason.LOCAL_RESOURCE
    ) -> None:
        super().__init__(did)
        self.costly, self.reason = costly, reason


def main(module: str, cpu: str, nice: str) -> None:
    """Answer until the input ends, each time within so many seconds of CPU, else die of SIGPROF."""
    os.nice(int(nice))
    if int(nice):  # whoever wakes up does not wait for it (sched(7)); a sandbox may refuse
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    keep_to_itself()  # answers hold secrets, and programs of checks run beside us
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    work = import_module(module).answer
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what comes next may be secret, or hostile
    while head := sys.stdin.buffer.read(SIZE):
        data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        signal.setitimer(signal.ITIMER_PROF, float(cpu))
        try:
            kind, said = DONE, work(data)
        except MemoryError:
            kind, said = MEMORY, f"needed over {_MOST_MEMORY >> 20} MiB of memory".encode()
        except Exception as error:  # whatever we did wrong costs one answer
            kind, said = DEFECT, trace(error).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(kind + len(said).to_bytes(SIZE, "big") + said)
        sys.stdout.buffer.flush()


def keep_to_itself() -> None:
    """Make this process one that others cannot read, and that leaves no core behind: prctl(2)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def answer(data: bytes) -> bytes:
    """Call what the parent pickled. What comes back was made from what a server sent: no pickle."""
    return json.dumps(plain(pickle.loads(data)())).encode()  # noqa: S301 - our own parent wrote it


def plain(value: object) -> Any:
    """Write a value as JSON can hold it: whatever it does not have is a list after a name."""
    match value:
        case Enum():
            return [type(value).__name__, value.value]
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return ["bytes", value.hex()]
        case tuple() | list():
            return [type(value).__name__, *map(plain, value)]
        case Mapping():
            return ["dict", *(("tuple", key, plain(one)) for key, one in value.items())]
        case _:
            held = (getattr(value, field.name) for field in fields(value))  # type: ignore[arg-type]  # raises
            return [type(value).__name__, *map(plain, held)]


_MAKERS: dict[str, Callable[..., Any]] = {
    "bytes": bytes.fromhex,
    "dict": lambda *pairs: dict(pairs),
    "list": lambda *items: list(items),
    "tuple": lambda *items: items,
}


def made(data: bytes, *kinds: type) -> Any:
    """Make again what `plain` wrote as JSON, of these classes and no others.

    Raises Unanswered for anything else.
    """
    makers = dict(_MAKERS)
    makers.update((kind.__name__, kind) for kind in kinds)

    def one(value: Any) -> Any:
        return makers[value[0]](*map(one, value[1:])) if isinstance(value, list) else value

    try:
        return one(json.loads(data))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise Unanswered("answered nonsense") from error


def pickled(value: object) -> bytes:
    """The bytes of a value; read-only mappings have no pickle of their own, until this ran once."""
    copyreg.pickle(MappingProxyType, lambda view: (read_only, (dict(view),)))
    return pickle.dumps(value)


def read_only(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """What a pickled read-only mapping is made again with."""
    return MappingProxyType(items)


if __name__ == "__main__":
    main(*sys.argv[1:])
