"""Searches responses for regular expressions without holding up the event loop.

A pattern's time is linear in the text, which may still be seconds for an unlucky pattern on a
large body. Such work goes to a thread, which RE2 leaves the interpreter to meanwhile, and is given
up when it takes too long. That is our configuration's fault and never the target's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from probe.model.failure import Failure, Phase, Reason

T = TypeVar("T")

AT_ONCE = 4096
"""Bytes that any pattern is through with in a few milliseconds: less than a thread costs."""

_LONGEST = 2.0
"""Seconds that patterns may take on one response."""


async def run_off_loop(
    work: Callable[[], T], *, patterns: bool, size: int, deadline: float
) -> T | Failure:
    """Do the work in a thread if it may take long; return a failure of ours when it takes too long.

    Args:
        work: touches nothing but what it was given.
        patterns: whether it searches for regular expressions; other work stays on the loop.
        size: bytes that it looks at.
        deadline: trio time.
    """
    if not patterns or size <= AT_ONCE:
        return work()
    with trio.move_on_at(min(deadline, trio.current_time() + _LONGEST)):
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True)
    detail = f"regular expressions took too long on {size} bytes; write simpler ones"
    return Failure(Phase.EXPECT, Reason.LOCAL_RESOURCE, detail)
