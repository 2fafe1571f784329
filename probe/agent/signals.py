"""The signals that the agent follows, from its first moment to its last.

A signal whose default action is to kill must not do so before anybody listens, nor once nobody
listens any more: it is blocked then, and delivered when the receiver is open.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import trio

FOLLOWED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HELD = {signal.SIGTERM, signal.SIGHUP}  # trio itself looks after SIGINT


def hold() -> None:
    """Keep what comes for `received`; for the moments in which trio starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


@contextmanager
def received() -> Iterator[AsyncIterator[int]]:
    """The signals, in the order in which they come; those that were held first."""
    with trio.open_signal_receiver(*FOLLOWED) as signals:
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
        try:
            yield signals
        finally:
            # What comes now, or was not looked at, would be raised again with its default action.
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
