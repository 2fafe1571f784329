"""A child process and the signals of its parent."""

from __future__ import annotations

import os
import pickle
import threading
import time
from functools import partial

import pytest
import trio

from probe.net.apart import Child, kept
from probe.net.child import made


def test_an_interrupt_while_the_time_limit_starts_leaves_nothing_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python raises KeyboardInterrupt wherever it is; a thread left behind held the end up."""
    started = []

    def start(timer: threading.Timer) -> None:
        threading.Thread.start(timer)
        started.append(timer)
        raise KeyboardInterrupt

    child = Child()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", start)
        with pytest.raises(KeyboardInterrupt):
            child.ask(b"", 60.0)
    child.end()
    (timer,) = started
    assert not timer.is_alive()
    assert timer.daemon


async def test_who_stops_waiting_leaves_the_child_to_the_next() -> None:
    """Each that gave up killed it: where a start outlasts a check's time, none ever answered."""
    child = await kept(os.getpid)
    with trio.move_on_after(0.01) as gave_up:
        await kept(partial(time.sleep, 0.2))
    assert gave_up.cancelled_caught
    seen: set[int] = set()

    async def ask() -> None:
        seen.add(await kept(os.getpid))

    with trio.fail_after(60):
        while child not in seen:
            async with trio.open_nursery() as both:
                both.start_soon(ask)
                both.start_soon(ask)


@pytest.mark.parametrize("nice", [0, 10])
def test_a_child_gives_way_to_probes_unless_the_agent_waits_for_it(nice: int) -> None:
    """A start of the agent waited for a process that got no CPU on a busy host."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    child = Child(nice=nice)
    try:
        asked = pickle.dumps(partial(os.getpriority, os.PRIO_PROCESS, 0))
        assert made(child.ask(asked, 60.0)) == min(19, own + nice)
    finally:
        child.end()
