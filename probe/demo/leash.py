"""Runs an agent that ends when its parent does: ``python -m probe.demo.leash run --config …``.

The agent is the real one; a thread beside it waits for the end of standard input, which the demo
holds open. Whatever kills the demo closes it too, so that no agent is left behind.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _wait_for_the_end(descriptor: int) -> None:
    while os.read(descriptor, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # A copy out of the way of standard input, which programs that the agent starts may inherit.
    lifeline = os.dup(sys.stdin.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    threading.Thread(target=_wait_for_the_end, args=(lifeline,), daemon=True).start()
    runpy.run_module("probe", run_name="__main__", alter_sys=True)
