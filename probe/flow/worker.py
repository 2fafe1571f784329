"""The child of `probe.flow.apart`: does one piece of work after the other until its input ends.

It imports neither trio nor OpenSSL, gives way to the agent, and ends by itself when a piece of work
takes too long or its parent is gone.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys

import probe.http.answers  # noqa: F401 - what most work needs; the first must not wait for it
from probe.flow.confined import keep_to_itself
from probe.model.failure import Failure, Phase, Reason, defect

SIZE = 8
"""Bytes that say how long the message after them is, the highest first."""

_NICE = 5
MOST_CPU = 2.0
"""Seconds of CPU after which a piece of work ends the process, by SIGPROF. On a busy machine the
same work takes longer by the clock."""

_MOST_MEMORY = 1 << 30
"""Bytes of address space: a body of a few MiB unfolds to some hundred."""


def main() -> None:
    """Read work, pickled, and write what came of it: its result, or a failure of ours."""
    keep_to_itself()  # answers hold secrets, and programs of checks run beside us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    sys.stdout.buffer.write(bytes(SIZE))  # ready
    sys.stdout.buffer.flush()
    while size := int.from_bytes(sys.stdin.buffer.read(SIZE), "big"):
        data = sys.stdin.buffer.read(size)
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU)
        answer = pickle.dumps(_done(data))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(len(answer).to_bytes(SIZE, "big") + answer)
        sys.stdout.buffer.flush()


def _done(data: bytes) -> object:
    try:
        return pickle.loads(data)()  # noqa: S301 - our own parent wrote it
    except MemoryError:
        detail = "not enough memory to look at all that was answered"
        return Failure(Phase.EXPECT, Reason.LOCAL_RESOURCE, detail)
    except Exception as error:  # whatever we did wrong costs one step
        return defect(error, Phase.EXPECT)


if __name__ == "__main__":
    main()
