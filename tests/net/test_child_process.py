"""A child process and the signals of its parent."""

from __future__ import annotations

import threading

import pytest

from probe.net.apart import Child


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
