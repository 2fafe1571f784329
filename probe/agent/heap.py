"""Keeps the garbage collector from stopping the loop.

Python frees nearly everything the moment it is let go of; the collector is for reference cycles,
which a probe leaves behind only where something failed. A full collection walks every object
that there is: measured with 10,000 edges, 0.2 to 0.4 s, every 11 s, in which no handshake is
served and every timing is wrong. So what is long-lived is set apart (``gc.freeze``), and the
rest is walked ten times less often. Young objects are collected as ever.
"""

from __future__ import annotations

import gc

import trio

_FULL_AFTER = 100
"""Collections of the middle generation before a full one; Python's default is 10. Each lets at
most some 7,000 objects through, so what waits to be collected stays within tens of MiB."""

_AGAIN = (60.0, 600.0)
"""Seconds after the start at which what has come since is set apart too …"""

_PERIOD = 3600.0
"""… and then every so many seconds, when also that which was set apart is walked once."""


async def keep_still() -> None:
    """Look after the collector until cancelled."""
    gc.set_threshold(*gc.get_threshold()[:2], _FULL_AFTER)
    settle()
    for seconds in _AGAIN:
        await trio.sleep(seconds)
        settle()
    while True:
        await trio.sleep(_PERIOD)
        settle()


def settle() -> None:
    """Collect everything once, and set apart what is left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
